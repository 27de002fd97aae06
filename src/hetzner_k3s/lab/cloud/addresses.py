"""Addresses the cloud gives out: public pools and private addresses in networks.

See docs/facts/hetzner-api.md#networks.
"""

from __future__ import annotations

import heapq
import ipaddress
from collections.abc import Collection, Iterator

from hetzner_k3s.lab.cloud.requests.errors import ApiError

_METADATA_GATEWAY = ipaddress.IPv4Address("172.31.1.1")
_FIRST_PUBLIC = ipaddress.IPv4Address("198.51.100.10")
_LAST_PUBLIC = ipaddress.IPv4Address("198.51.100.254")
_OVERFLOW = ipaddress.IPv4Network("198.18.0.0/15")


class PublicPool:
    """Public addresses from documentation ranges; the lowest free one goes out first, so freed ones come back soon.

    After 198.51.100.10-254 the benchmarking range 198.18.0.0/15 follows, for simulations of many servers.
    """

    def __init__(self) -> None:
        self._fresh = self._addresses()
        self._freed: list[ipaddress.IPv4Address] = []
        self._prefixes = 0

    def take_ipv4(self) -> str:
        """Return the lowest free IPv4 address."""
        if self._freed:
            return str(heapq.heappop(self._freed))
        address = next(self._fresh, None)
        if address is None:
            raise ApiError("resource_unavailable", "no public IPv4 address is left")
        return str(address)

    def free_ipv4(self, address: str) -> None:
        """Take an address back."""
        heapq.heappush(self._freed, ipaddress.IPv4Address(address))

    def take_ipv6(self) -> str:
        """Return a /64 in the documentation range that was never given before."""
        self._prefixes += 1
        return f"2001:db8:{self._prefixes >> 16:x}:{self._prefixes & 0xFFFF:x}::/64"

    @staticmethod
    def _addresses() -> Iterator[ipaddress.IPv4Address]:
        for number in range(int(_FIRST_PUBLIC), int(_LAST_PUBLIC) + 1):
            yield ipaddress.IPv4Address(number)
        yield from _OVERFLOW.hosts()


def gateway_of(network: ipaddress.IPv4Network) -> ipaddress.IPv4Address:
    """Return the gateway of all subnets: the first address of the network's range."""
    return network.network_address + 1


def is_assignable(
    address: ipaddress.IPv4Address, subnet: ipaddress.IPv4Network, network: ipaddress.IPv4Network
) -> bool:
    """Check whether a server may have this address: in the subnet, a host address, and not a reserved one."""
    reserved = {gateway_of(network), network.network_address, network.broadcast_address, _METADATA_GATEWAY}
    edges = {subnet.network_address, subnet.broadcast_address}
    return address in subnet and address not in edges and address not in reserved


def lowest_free(
    subnet: ipaddress.IPv4Network, network: ipaddress.IPv4Network, used: Collection[ipaddress.IPv4Address]
) -> ipaddress.IPv4Address | None:
    """Return the lowest assignable address that is not used, None when the subnet is full."""
    candidates = (address for address in subnet.hosts() if is_assignable(address, subnet, network))
    return next((address for address in candidates if address not in used), None)


def first_free_subnet(
    network: ipaddress.IPv4Network, taken: Collection[ipaddress.IPv4Network]
) -> ipaddress.IPv4Network | None:
    """Return the first /24 of a network that overlaps nothing, None when there is none."""
    candidates = network.subnets(new_prefix=24)
    return next((c for c in candidates if not any(c.overlaps(other) for other in taken)), None)


def public_mac(number: int) -> str:
    """Return the MAC address of a server's public interface."""
    return _mac("96", number)


def private_mac(number: int) -> str:
    """Return the MAC address of a private interface."""
    return _mac("86", number)


def _mac(prefix: str, number: int) -> str:
    tail = number.to_bytes(4, "big").hex()
    return ":".join((prefix, "00", *(tail[i : i + 2] for i in range(0, 8, 2))))
