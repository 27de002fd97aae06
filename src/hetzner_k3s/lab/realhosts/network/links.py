"""Interfaces, addresses and routes as at Hetzner: everything is layer 3, /32, through a gateway.

See docs/facts/lab.md#network.

Pure: lines for `ip -batch`. In the router, and in the namespace of a private network, the other end of a host's
interface is called `e<server id>`.
"""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects.machines import PrivateNic

GATEWAY = "172.31.1.1"
METADATA = "169.254.169.254"
OPERATOR = "198.51.100.1"
ROUTER_ADDRESSES = (GATEWAY, METADATA, OPERATOR)

PRIVATE_MTU = 1450
_FIRST_PRIVATE_SLOT = 7  # enp7s0, then enp8s0, ...


def host_namespace(server_id: int) -> str:
    """Name the network namespace of a host."""
    return f"host{server_id}"


def network_namespace(network_id: int) -> str:
    """Name the network namespace that routes a private network."""
    return f"network{network_id}"


def host_link(server_id: int) -> str:
    """Name the router's end of a host's interface."""
    return f"e{server_id}"


def private_name(position: int) -> str:
    """Name a host's private interface by its position."""
    return f"enp{_FIRST_PRIVATE_SLOT + position}s0"


def public_router_lines(server_id: int, address: str, mac: str) -> list[str]:
    """Make a host's public interface and the router's route to it."""
    link = host_link(server_id)
    return [
        f"link add {link} type veth peer name eth0 address {mac} netns {host_namespace(server_id)}",
        f"link set {link} up",
        f"route add {address}/32 dev {link} src {OPERATOR}",
    ]


def public_host_lines(address: str) -> list[str]:
    """Configure a host's public interface as Hetzner's network configuration does."""
    return [
        "link set eth0 up",
        f"addr add {address}/32 dev eth0",
        f"route add {GATEWAY}/32 dev eth0 scope link src {address}",
        f"route add default via {GATEWAY} dev eth0 src {address}",
    ]


def private_router_lines(server_id: int, nic: PrivateNic, name: str) -> list[str]:
    """Make a host's private interface and the network's route to it."""
    link, peer = host_link(server_id), f"peer name {name} mtu {PRIVATE_MTU} address {nic.mac}"
    return [
        f"link add {link} mtu {PRIVATE_MTU} type veth {peer} netns {host_namespace(server_id)}",
        f"link set {link} up",
        f"route add {nic.ip}/32 dev {link} src {nic.gateway}",
    ]


def private_host_lines(nic: PrivateNic, name: str) -> list[str]:
    """Configure a host's private interface as Hetzner's DHCP does."""
    return [
        f"link set {name} up",
        f"addr add {nic.ip}/32 dev {name}",
        f"route add {nic.gateway}/32 dev {name} scope link src {nic.ip}",
        f"route add {nic.network_range} via {nic.gateway} dev {name} src {nic.ip}",
    ]
