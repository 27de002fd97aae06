"""Nodes that outlived their machines: deleted where that is proven, a reason to hold still where it is not."""

from __future__ import annotations

from hetzner_k3s.decide.view import node_claims
from hetzner_k3s.decide.view.context import Basis
from hetzner_k3s.decide.view.node_machine import NamedServer, doubt
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.steps import DeleteNode


def stale_node(basis: Basis, named: NamedServer) -> PlannedStep | None:
    """Plan the deletion of the Node, or of the node-password secret alone, that a machine which is gone left behind."""
    kube, seed = basis.plane.kube, basis.plane.seed
    if kube is None or seed is None or named.name in basis.joining:
        return None
    node = basis.node(named.name)
    if node is None and not (named.name in kube.node_passwords and named.empty):
        return None
    if node is not None and doubt(node, named, basis.state, basis.plane.network_id) is not None:
        return None
    return PlannedStep(
        step=DeleteNode(
            target=named.name,
            uid=node.uid if node else None,
            via=basis.plane.seed_server.id,
            release=node is not None and node.deleting and not _has_member(basis, named.name),
        ),
        scope=Scope.WORKER if node and not node.control_plane else Scope.CONTROL_PLANE,
        reason=Reason.LOST,
        because="it belongs to a server that is gone, and its successor must register anew",
    )


def false_claims_told(basis: Basis) -> tuple[str, ...]:
    """Name the Nodes that claim to be of a server which they cannot be of; nothing is done about them."""
    view = node_claims.api_view(basis.spec, basis.state)
    claims = node_claims.false_claims(view, basis.state, basis.plane.network_id) if view else ()
    return tuple(map(node_claims.told, claims))


def _has_member(basis: Basis, name: str) -> bool:
    return any(member.node == name for member in basis.plane.members)


def nodes_explained(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse while a wanted name's Node belongs to another machine that is not proven gone."""
    told = [(n, why) for s in basis.spec.servers() if (n := basis.node(s.name)) and (why := _elsewhere(basis, n))]
    return tuple(_unexplained(node, why) for node, why in told)


def _elsewhere(basis: Basis, node: KubeNode) -> str | None:
    server = basis.server(node.name)
    if server is not None and (node.machine is None or node.machine == server.id):
        return None
    named = NamedServer(name=node.name, server=server, facts=basis.state.facts(server.id) if server else None)
    return doubt(node, named, basis.state, basis.plane.network_id)


def _unexplained(node: KubeNode, why: str) -> Refusal:
    return Refusal(
        code="node.unexplained",
        saw=f"The Node {node.name} belongs to a machine whose end is not proven: {why}.",
        why="Whether that machine still lives is unknown, and its successor would take its name.",
        you_can="Give that server its old name back, and run `create` again.",
        ways=(Way(text="Or delete it at Hetzner, if what it holds may go.", deletes=frozenset({node.name})),),
    )
