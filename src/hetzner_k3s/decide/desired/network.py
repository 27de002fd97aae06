"""The private network: made once, and every address of the cluster lies in it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.difference import Difference, Remedy


def of_another_range(context: DecisionContext) -> Iterator[Difference]:
    """Return whether the file names a range that the cluster's network does not have."""
    network = lookup.network(context.spec, context.view)
    if network is None or not context.spec.network.private:
        return
    wanted = context.spec.network.subnet
    ranges = (network.ip_range, *network.subnets)
    covered = any(_within(wanted, there) for there in ranges)
    used = not network.subnets or any(_overlap(wanted, subnet) for subnet in network.subnets)
    if not (covered and used):
        yield Difference(
            subject=network.name,
            field="networking.private_network.subnet",
            wanted=wanted,
            seen=network.ip_range if not covered else ", ".join(network.subnets),
            remedy=Remedy.FIXED,
            because="the addresses of all servers and members lie in the range that the network was made with",
        )


def _within(inner: str, outer: str) -> bool:
    one, other = _parsed(inner), _parsed(outer)
    if isinstance(one, IPv4Network) and isinstance(other, IPv4Network):
        return one.subnet_of(other)
    return one is not None and one == other


def _overlap(one: str, other: str) -> bool:
    first, second = _parsed(one), _parsed(other)
    if isinstance(first, IPv4Network) and isinstance(second, IPv4Network):
        return first.overlaps(second)
    return first is not None and first == second


def _parsed(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None
