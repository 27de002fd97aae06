"""The addresses at which a living master is found: what a `server:` line is held against."""

from __future__ import annotations

from collections.abc import Iterable

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.model import lookup


def host_of(address: str) -> str:
    """Return the host of a URL, or of an address with a port."""
    return address.removeprefix("https://").partition("/")[0].rpartition(":")[0].strip("[]")


def is_an_address(url: str) -> bool:
    """Check whether a URL names an IPv4 address: where a name leads is not known here."""
    return host_of(url).replace(".", "").isdecimal()


def internal_addresses(context: DecisionContext, masters: Iterable[MasterView]) -> list[str]:
    """Return the addresses at which masters' peers reach them, the gateway's first."""
    internal_ips, gateway = context.control_plane.internal_ips, context.control_plane.gateway
    ordered = sorted(masters, key=lambda m: (gateway is None or m.name != gateway.name, m.spec.index))
    addresses = (internal_ips.of(m.server) for m in ordered if m.server is not None)
    return [address for address in addresses if address is not None]


def living_masters(context: DecisionContext) -> frozenset[str]:
    """Return the addresses of masters, of those beyond the file too: who knows one learns of the others there.

    A worker that got the address of a lost master is none, nor is a server beyond the file that never was a master.
    """
    masters = (
        *context.control_plane.masters,
        *(m for m in context.control_plane.surplus if not m.never_started),
    )
    balancer = lookup.load_balancer(context.spec, context.view)
    public = {m.server.public_ipv4 for m in masters if m.server and m.server.public_ipv4}
    before = {*balancer.private_ips.values(), *filter(None, [balancer.public_ipv4])} if balancer else set()
    own_name = filter(None, [context.spec.api_server_hostname])
    return frozenset({*internal_addresses(context, masters), *public, *before, *own_name})
