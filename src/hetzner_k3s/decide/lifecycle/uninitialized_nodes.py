"""Nodes that no cloud controller has seen yet: they have joined, no pod is put there, and k3s ends each 15 minutes.

A join ends with the Node; this is the milestone after it, the cloud controller's own (docs/decisions/0006). It is given
some time, and then told: a controller that never comes is no reason to call a join failed, nor the cluster well.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.kube import UNINITIALIZED, KubeNode
from hetzner_k3s.model.plan import Wait

PATIENCE = 180.0
"""Seconds given to a cloud controller from the registration of a Node on: its image is pulled first."""

_SHOWN = 6


def await_controller(context: ServingContext) -> Proposal | None:
    """Wait for the cloud controller where Nodes joined a short while ago."""
    young = [node for node in _waiting(context) if _is_young(context, node)]
    if not young or not context.spec.external_cloud:
        return None
    wait = Wait(
        what=f"the cloud controller to initialize {_names(young)}",
        because="until then no pod is put there",
        deadline=PATIENCE,
        tolerated=True,
    )
    return Proposal(waits=(wait,))


def left_tainted(context: DecisionContext) -> tuple[str, ...]:
    """Tell of the Nodes that still wait for a cloud controller, and of what k3s does there meanwhile."""
    waiting = _waiting(context)
    if not waiting:
        return ()
    return (
        f"{_names(waiting)}: joined, but no cloud controller has taken the taint {UNINITIALIZED} off yet, so no pod is "
        f"put there, and k3s there ends and starts again each 15 minutes; {_advice(context, waiting)}",
    )


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Return whoever runs a cloud controller of his own how kubelets come to wait for it."""
    nodes = context.control_plane.kube.nodes if context.control_plane.kube else ()
    provided = any(node.provided is not None for node in nodes) and context.spec.network.private
    if context.spec.external_cloud or not provided:
        return ()
    return (
        "addons.cloud_controller_manager is off, but Nodes have the provider ids of one: if you run your own, put "
        "`cloud-provider=external` into kubelet_args, or new nodes will not wait for it",
    )


def _waiting(context: DecisionContext) -> list[KubeNode]:
    control_plane = context.control_plane
    if control_plane.record.phase is not Phase.BORN or control_plane.kube is None:
        return []
    return [node for node in control_plane.kube.nodes if node.uninitialized and not node.deleting]


def _is_young(context: ServingContext, node: KubeNode) -> bool:
    """Check how long a Node has been there by a master's clock: this machine's may be another one."""
    return node.created is not None and context.gateway.facts.clock - node.created < PATIENCE


def _names(nodes: list[KubeNode]) -> str:
    names = [node.name for node in nodes[:_SHOWN]]
    return ", ".join(names) + (f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else "")


def _advice(context: DecisionContext, waiting: list[KubeNode]) -> str:
    if context.spec.addons.cloud_controller_manager:
        return "look at `kubectl -n kube-system get pods` and at the log of hcloud-cloud-controller-manager"
    if context.spec.external_cloud:
        return "kubelet_args announce a cloud controller of your own: look whether it runs"
    return (
        f"the file has no cloud controller: take it off with `kubectl taint node {waiting[0].name} {UNINITIALIZED}-`, "
        "and so for each"
    )
