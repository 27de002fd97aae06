"""The lab's network: a router without uplink, a namespace for each private network, and the hosts' interfaces in them.

The router is the namespace that the daemon itself lives in. A private network has a namespace of its own: as at
Hetzner, what is in the internet (the operator) does not reach private addresses, and two networks may share a range.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass, field

from hetzner_k3s.lab.cloud.effects.machines import FirewallRule, MachineSpec, PrivateNic
from hetzner_k3s.lab.realhosts.command import CommandError, run
from hetzner_k3s.lab.realhosts.network import links
from hetzner_k3s.lab.realhosts.network.namespaces import NetworkNamespace, forward_packets
from hetzner_k3s.lab.realhosts.network.packet_filter import Faults, private_rules, router_rules


@dataclass(slots=True)
class PrivateNetwork:
    """A private network that has members: its range, and the private addresses by server id."""

    namespace: NetworkNamespace
    ip_range: ipaddress.IPv4Network
    members: dict[int, str] = field(default_factory=dict)


class Fabric:
    """Interfaces, routes, firewalls and network faults of all hosts."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.networks: dict[int, PrivateNetwork] = {}
        self._firewalls: dict[int, tuple[FirewallRule, ...]] = {}
        self._filtering = asyncio.Lock()

    async def open(self) -> None:
        """Turn the daemon's namespace into the router."""
        forward_packets()
        addresses = [f"addr add {address}/32 dev lo" for address in links.ROUTER_ADDRESSES]
        await _batch(["link set lo up", *addresses])

    async def join(self, server_id: int, nic: PrivateNic) -> None:
        """Make a server a member of a private network, which appears with its first member."""
        network = self.networks.get(nic.network_id)
        if network is None:
            network = await _open_network(nic)
            self.networks[nic.network_id] = network
        network.members[server_id] = nic.ip
        await self.refilter()

    async def leave(self, server_id: int, network_id: int) -> bool:
        """End a membership, and tell whether the network has no member left (then `close_network` it)."""
        network = self.networks.get(network_id)
        if network is None:
            return False
        network.members.pop(server_id, None)
        await _remove_link(server_id, network.namespace)
        return not network.members

    async def close_network(self, network_id: int) -> None:
        """Remove a network's namespace, but not while rules are being brought into it."""
        network = self.networks.pop(network_id)
        async with self._filtering:
            await network.namespace.remove()

    async def plug(self, spec: MachineSpec) -> NetworkNamespace:
        """Return a host fresh interfaces in a fresh namespace, as a boot does; what was there is gone."""
        await self.unplug(spec)
        namespace = NetworkNamespace(links.host_namespace(spec.server_id))
        await namespace.add()
        if spec.public_ipv4:
            await _batch(links.public_router_lines(spec.server_id, spec.public_ipv4, spec.public_mac))
            await namespace.configure(links.public_host_lines(spec.public_ipv4))
        for position, nic in enumerate(spec.private):
            await self.plug_private(spec.server_id, nic, position)
        return namespace

    async def plug_private(self, server_id: int, nic: PrivateNic, position: int) -> None:
        """Put one private interface into a host that has its namespace."""
        name = links.private_name(position)
        await self.networks[nic.network_id].namespace.configure(links.private_router_lines(server_id, nic, name))
        await NetworkNamespace(links.host_namespace(server_id)).configure(links.private_host_lines(nic, name))

    async def unplug_private(self, server_id: int, network_id: int) -> None:
        """Pull one private interface."""
        if network_id in self.networks:
            await _remove_link(server_id, self.networks[network_id].namespace)

    async def unplug(self, spec: MachineSpec) -> None:
        """Remove a host's interfaces and namespace; absent ones are success."""
        await _remove_link(spec.server_id, None)
        for nic in spec.private:
            await self.unplug_private(spec.server_id, nic.network_id)
        await NetworkNamespace(links.host_namespace(spec.server_id)).remove()

    async def set_firewall(self, server_id: int, rules: tuple[FirewallRule, ...] | None) -> None:
        """Set the rules on a host's public interface; None: none."""
        self._firewalls.pop(server_id, None)
        if rules is not None:
            self._firewalls[server_id] = rules
        await self.refilter()

    async def refilter(self) -> None:
        """Bring firewalls and faults into force."""
        async with self._filtering:  # a rule set rendered earlier must not come into force later
            await run("nft", "-f", "-", stdin=router_rules(self._firewalls, self.faults))
            for network in list(self.networks.values()):
                await run(*_inside(network.namespace), "nft", "-f", "-", stdin=private_rules(self.faults))

    def network_holding(self, address: str, near: set[int]) -> PrivateNetwork | None:
        """Find the private network an address lies in; of several with one range the one that has members of `near`."""
        ip = ipaddress.IPv4Address(address)
        found = [network for _, network in sorted(self.networks.items()) if ip in network.ip_range]
        return max(found, key=lambda network: len(near & network.members.keys()), default=None)


async def _open_network(nic: PrivateNic) -> PrivateNetwork:
    namespace = NetworkNamespace(links.network_namespace(nic.network_id))
    await namespace.add()
    await namespace.call(forward_packets)
    await namespace.configure([f"addr add {nic.gateway}/32 dev lo"])
    return PrivateNetwork(namespace, ipaddress.IPv4Network(nic.network_range))


async def _batch(lines: list[str]) -> None:
    await run("ip", "-batch", "-", stdin="\n".join(lines))


async def _remove_link(server_id: int, namespace: NetworkNamespace | None) -> None:
    """Remove the router's end, and with it the host's, at once: removing the host's namespace does so with a delay."""
    where = ("-n", namespace.name) if namespace else ()
    try:
        await run("ip", *where, "link", "del", links.host_link(server_id))
    except CommandError as error:
        if "Cannot find device" not in str(error):
            raise


def _inside(namespace: NetworkNamespace) -> tuple[str, ...]:
    return ("nsenter", f"--net={namespace.path}")
