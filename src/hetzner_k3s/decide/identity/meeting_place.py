"""Whether the nodes meet at the addresses that the file says: in a private network, or in the internet."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hetzner import access


def elsewhere(context: DecisionContext) -> str | None:
    """Return what shows that the nodes meet otherwise than the file says; None where nothing does.

    A worker is not asked: its kubelet may write anything into its Node.
    """
    other = "public" if context.spec.network.private else "private"
    masters = lookup.owned_masters(context.spec.name, context.view)
    told = [(server, address) for server in masters for address in _told(context, server)]
    wrong = (
        f"{server.name} is known to the others at its {other} address {address}"
        for server, address in told
        if _kind(server, address) == other
    )
    return next(wrong, None if told else _by_network(context) or _by_firewall(context))


def _kind(server: Server, address: str) -> str | None:
    if address == server.public_ipv4:
        return "public"
    return "private" if address in server.private_ips.values() else None


def _by_network(context: DecisionContext) -> str | None:
    """Return that a network was made for the servers, in a file that wants none, where no master can be asked."""
    spec, view = context.spec, context.view
    made = None if spec.network.private else lookup.network_of_our_name(spec, view)
    if made is None or not any(made.id in server.private_ips for server in lookup.owned_servers(spec.name, view)):
        return None
    return f"the servers are in the private network {made.name}, which was made for this cluster"


def _by_firewall(context: DecisionContext) -> str | None:
    """Return that the servers' firewall was made for nodes that meet otherwise, where no master can be asked."""
    spec, view = context.spec, context.view
    firewall = lookup.firewall(spec, view)
    if firewall is None or not lookup.owned_servers(spec.name, view):
        return None
    if spec.network.private and any(map(access.is_between_nodes, firewall.rules)):
        return f"the firewall {firewall.name} lets the nodes in by their public addresses"
    if not spec.network.private and any(map(access.is_within_network, firewall.rules)):
        return f"the firewall {firewall.name} lets the nodes in by a private network"
    return None


def _told(context: DecisionContext, server: Server) -> Iterator[str]:
    """Return the addresses at which a server is known: of its Node, and of its member of etcd."""
    node = context.node(server.name)
    if node is not None and node.internal_ip is not None:
        yield node.internal_ip
    for reading in context.state.hosts.values():
        members = reading.value.etcd.members if isinstance(reading, Known) else None
        yield from (member.address for member in members or () if member.node == server.name)
