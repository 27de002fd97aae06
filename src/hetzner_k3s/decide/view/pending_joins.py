"""What has yet to join a cluster that was born: asked by the gates that must speak before anything is bought for it."""

from __future__ import annotations

from hetzner_k3s.decide.view.context import Basis
from hetzner_k3s.decide.view.control_plane import NEVER_STARTED, MasterView, Stage
from hetzner_k3s.model.identity import Phase

_TO_JOIN = NEVER_STARTED | {Stage.JOINING}


def masters_due(basis: Basis) -> tuple[MasterView, ...]:
    """Give the masters that have yet to join through the seed; none while there is no cluster or no healthy master."""
    if basis.plane.record.phase is not Phase.BORN or basis.plane.seed is None:
        return ()
    return tuple(m for m in basis.plane.masters if m.stage in _TO_JOIN)


def something_due(basis: Basis) -> bool:
    """Tell whether a master or, as far as the Nodes are known, a worker has yet to join."""
    if masters_due(basis):
        return True
    born = basis.plane.record.phase is Phase.BORN and basis.plane.kube is not None
    return born and any(basis.node(worker.name) is None for worker in basis.spec.workers())
