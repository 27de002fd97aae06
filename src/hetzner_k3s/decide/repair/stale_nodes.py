"""Nodes that outlived their machines: deleted where that is proven, a reason to hold still where it is not."""

from __future__ import annotations

from hetzner_k3s.decide.view import node_claims
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.node_machine import NamedServer, doubt
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.steps import DeleteNode


def stale_node(context: ServingContext, named: NamedServer) -> PlannedStep | None:
    """Plan the deletion of the Node, or of the node-password secret alone, that a machine which is gone left behind."""
    kube = context.control_plane.kube
    if kube is None or named.name in context.joining:
        return None
    node = context.node(named.name)
    if node is None and not (named.name in kube.node_passwords and named.empty):
        return None
    if node is not None and doubt(node, named, context.state, context.control_plane.internal_ips) is not None:
        return None
    return PlannedStep(
        step=DeleteNode(
            target=named.name,
            uid=node.uid if node else None,
            via=context.gateway.server.id,
            release=node is not None and not _has_member(context, named.name),
        ),
        scope=Scope.WORKER if node and not node.control_plane else Scope.CONTROL_PLANE,
        reason=Reason.LOST,
        because="it belongs to a server that is gone, and its successor must register anew",
    )


def false_claim_notes(context: DecisionContext) -> tuple[str, ...]:
    """Name the Nodes that claim to be of a server which they cannot be of; nothing is done about them."""
    view = node_claims.api_view(context.spec, context.state)
    claims = node_claims.false_claims(view, context.state, context.control_plane.internal_ips) if view else ()
    return tuple(map(node_claims.told, claims))


def _has_member(context: DecisionContext, name: str) -> bool:
    return any(member.node == name for member in context.control_plane.members)


def nodes_explained(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while a wanted name's Node belongs to another machine that is not proven gone."""
    told = [(n, why) for s in context.spec.servers() if (n := context.node(s.name)) and (why := _elsewhere(context, n))]
    return tuple(_unexplained(node, why) for node, why in told)


def _elsewhere(context: DecisionContext, node: KubeNode) -> str | None:
    server = context.server(node.name)
    if server is not None and (node.machine is None or node.machine == server.id):
        return None
    named = NamedServer(name=node.name, server=server, facts=context.state.facts(server.id) if server else None)
    return doubt(node, named, context.state, context.control_plane.internal_ips)


def _unexplained(node: KubeNode, why: str) -> Refusal:
    return Refusal(
        code="node.unexplained",
        saw=f"The Node {node.name} belongs to a machine whose end is not proven: {why}.",
        why="Whether that machine still lives is unknown, and its successor would take its name.",
        you_can="Give that server its old name back, and run `create` again.",
        ways=(Way(text="Or delete it at Hetzner, if what it holds may go.", deletes=frozenset({node.name})),),
    )
