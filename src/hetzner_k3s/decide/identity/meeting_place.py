"""Whether the nodes meet at the addresses that the file says: in a private network, or in the internet."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Known


def elsewhere(context: DecisionContext) -> str | None:
    """Return what shows that the nodes meet otherwise than the file says; None where nothing does.

    The network that carries our name, with servers of the cluster in it, says so too where no node can be asked.
    """
    spec, view = context.spec, context.view
    made = None if spec.network.private else lookup.network_of_our_name(spec, view)
    if made is not None and any(made.id in server.private_ips for server in lookup.owned_servers(spec.name, view)):
        return f"the servers are in the private network {made.name}, which was made for this cluster"
    masters = lookup.owned_masters(spec.name, view)  # a worker's kubelet may write anything into its Node
    wrong = (told for server in masters for told in _wrong(context, server, _told(context, server)))
    return next(wrong, None)


def _wrong(context: DecisionContext, server: Server, told: Iterator[str]) -> Iterator[str]:
    private = context.spec.network.private
    for address in told:
        if private and address == server.public_ipv4:
            yield f"{server.name} is known to the others at its public address {address}"
        if not private and address in server.private_ips.values():
            yield f"{server.name} is known to the others at its private address {address}"


def _told(context: DecisionContext, server: Server) -> Iterator[str]:
    """Return the addresses at which a server is known: of its Node, and of its member of etcd."""
    node = context.node(server.name)
    if node is not None and node.internal_ip is not None:
        yield node.internal_ip
    for reading in context.state.hosts.values():
        members = reading.value.etcd.members if isinstance(reading, Known) else None
        yield from (member.address for member in members or () if member.node == server.name)
