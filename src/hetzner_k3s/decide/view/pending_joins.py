"""What has yet to join an initialized cluster: asked by gates that must speak before anything is bought for it."""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.model.identity import Phase


def masters_due(context: ServingContext) -> tuple[MasterView, ...]:
    """Return the masters that have yet to join through the gateway."""
    return tuple(m for m in context.control_plane.masters if m.has_yet_to_join)


def something_due(context: DecisionContext) -> bool:
    """Check whether a master or, as far as the Nodes are known, a worker has yet to join."""
    if isinstance(context, ServingContext) and masters_due(context):
        return True
    born = context.control_plane.record.phase is Phase.BORN and context.control_plane.kube is not None
    return born and any(context.node(worker.name) is None for worker in context.spec.workers())
