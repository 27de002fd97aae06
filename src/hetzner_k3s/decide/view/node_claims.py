"""Which server a Node stands for: what the Node says of itself, where Hetzner agrees.

A kubelet may write its own Node: the annotation `hetzner-k3s/server-id`, the provider id when it registers, the
address. Believed to the letter, a worker could have a healthy master called lost, or its own Node deleted. So a claim
that is not about the server of the Node's name is held against what no kubelet can write: names, addresses and ages at
Hetzner, the age of the Node, and what the server's own host tells over SSH.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import InternalIps
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState


@dataclass(frozen=True, slots=True)
class FalseClaim:
    """A Node that claims to be of a server which it cannot be of; `holder` is the server of its name that runs it."""

    node: str
    claimed: int
    holder: Server | None
    why: str


def api_view(spec: ClusterSpec, state: ClusterState) -> KubeView | None:
    """Return what the API of the first master that answered says, as it says it."""
    views = (state.kube_of(s.id) for s in lookup.owned_masters(spec.name, state.view))
    return next((view for view in views if view is not None), None)


def settled(view: KubeView, state: ClusterState, internal_ips: InternalIps) -> KubeView:
    """Return a read of the API in which every Node stands for the server that Hetzner agrees it is of.

    A false claim is replaced by the server of the Node's name where that one runs it, and dropped elsewhere.
    """
    false = {claim.node: claim.holder for claim in false_claims(view, state, internal_ips)}
    if not false:
        return view
    return replace(view, nodes=tuple(_corrected(n, false[n.name]) if n.name in false else n for n in view.nodes))


def _corrected(node: KubeNode, holder: Server | None) -> KubeNode:
    return replace(node, server_id=holder.id if holder else None, provider_id=None)


def false_claims(view: KubeView, state: ClusterState, internal_ips: InternalIps) -> tuple[FalseClaim, ...]:
    """Return the Nodes whose claims Hetzner contradicts, by name."""
    judged = (_judge(node, view, state, internal_ips) for node in sorted(view.nodes, key=lambda n: n.name))
    return tuple(claim for claim in judged if claim is not None)


def _judge(node: KubeNode, view: KubeView, state: ClusterState, internal_ips: InternalIps) -> FalseClaim | None:
    claimed = node.machine
    own = next((s for s in state.view.servers if s.name == node.name), None)
    if claimed is None or (own is not None and own.id == claimed):
        return None
    target = next((s for s in state.view.servers if s.id == claimed), None)
    at_home = own is not None and internal_ips.of(own) == node.internal_ip
    if own is not None and (at_home or target is None) and _runs(own, node, state.facts(own.id), at_home=at_home):
        return FalseClaim(node.name, claimed, own, f"the server of its name (id {own.id}) runs it")
    if target is None:
        return None  # whether that one is gone is asked by its id
    why = _disagrees(node, target, view.nodes, internal_ips)
    return None if why is None else FalseClaim(node.name, claimed, None, why)


def _runs(own: Server, node: KubeNode, facts: HostFacts | None, *, at_home: bool) -> bool:
    """Check whether the server of a Node's name is what the Node stands for.

    A predecessor's Node is older than the server, or lies beside a host on which no cluster has left anything.
    """
    if facts is not None and facts.disk.empty:
        return False
    if own.created is not None and node.created is not None:
        return node.created > own.created
    active = facts is not None and "active" in {facts.agent_unit.active, facts.server_unit.active}
    return at_home and node.ready and active


def _disagrees(node: KubeNode, target: Server, nodes: Iterable[KubeNode], internal_ips: InternalIps) -> str | None:
    """Return what shows that a Node is not of a server of another name; one that was renamed keeps its address."""
    address = internal_ips.of(target)
    if address is not None and node.internal_ip is not None and address != node.internal_ip:
        return f"that one is {target.name}, whose address is {address}, and not {node.internal_ip}"
    if any(other.name == target.name and other.internal_ip == address for other in nodes):
        return f"that one is {target.name}, which has a Node of its own"
    return None


def told(claim: FalseClaim) -> str:
    """Return a false claim as a sentence without a full stop."""
    return (
        f"the Node {claim.node} claims to be of server {claim.claimed}, and {claim.why}. The claim is not believed; a "
        "kubelet can write its own Node, so look at who changed it"
    )
