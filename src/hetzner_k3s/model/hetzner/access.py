"""Who a firewall lets in by SSH: asked before its rules change, and where servers are silent."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import CloudView, FirewallRule
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.text.documents import server_number

_ANY_PORT = frozenset({None, "any"})
_NEVER_A_SOURCE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""Ranges from which no packet reaches a public address."""

BETWEEN_NODES = "Allow tcp between the nodes"
"""By this description a rule for the cluster's own addresses is told from one for its owner's."""

MAX_NETWORKS_A_RULE = 100
NODES_LET_IN = 250
"""So many nodes are let in by their addresses: a server takes 500 networks in all rules together, and some of them are
the file's (docs/facts/hetzner-api.md#firewalls)."""


def admits(rules: Iterable[FirewallRule], port: int, address: str) -> bool:
    """Check whether a TCP connection to a port from an address is let in."""
    if not is_address(address):
        return False
    source = ip_address(address)
    return any(source in network for network in sources(rules, port) if network.version == source.version)


def is_address(text: str) -> bool:
    """Check whether a text from outside is an IP address."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def is_between_nodes(rule: FirewallRule) -> bool:
    """Check whether a rule is one of ours that lets the cluster's nodes in by their addresses."""
    kind = (rule.direction, rule.protocol, rule.port)
    return rule.description == BETWEEN_NODES and kind == ("in", "tcp", "any")


def is_within_network(rule: FirewallRule) -> bool:
    """Check whether a rule is one of ours that lets a private network in."""
    return rule.direction == "in" and rule.description == within_network(rule.protocol)


def within_network(protocol: str) -> str:
    """Return the description of the rule for a private network, as 2.6 writes it."""
    return f"Allow {protocol} in the private network"


def is_one_address(text: str) -> bool:
    """Check whether a network in a rule is a single address."""
    network = _network(text)
    return network is not None and network.num_addresses == 1


def sources(rules: Iterable[FirewallRule], port: int) -> tuple[IPv4Network | IPv6Network, ...]:
    """Return the networks from which rules let TCP connections to a port in; what is no network lets nobody in."""
    inbound = (rule for rule in rules if rule.direction == "in" and rule.protocol == "tcp" and _holds(rule.port, port))
    return tuple(filter(None, (_network(text) for rule in inbound for text in rule.networks)))


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def _holds(ports: str | None, port: int) -> bool:
    if ports in _ANY_PORT:
        return True
    first, _, last = (ports or "").partition("-")
    low, high = server_number(first), server_number(last or first)
    return low is not None and high is not None and low <= port <= high


def never_from_outside(network: IPv4Network | IPv6Network) -> bool:
    """Check whether no address of a network can be the source of a packet to a public address."""
    return any(
        network.subnet_of(private)  # type: ignore[arg-type]
        for private in _NEVER_A_SOURCE
        if private.version == network.version
    )


def silence_explained(spec: ClusterSpec, view: CloudView, own: str | None) -> str | None:
    """Return what the cluster's firewall has to do with servers that do not answer by SSH; None where nothing.

    Args:
        spec, view: the file and the listing.
        own: the address that servers see us at, where it is known.
    """
    firewall = lookup.firewall(spec, view)
    if firewall is None or spec.ssh.use_private_ip:
        return None
    networks = sources(from_outside(spec, firewall.rules), spec.ssh.port)
    if not networks:
        return f"the firewall {firewall.name} does not let SSH in on port {spec.ssh.port}"
    if any(network.prefixlen == 0 for network in networks) or (own and admits(firewall.rules, spec.ssh.port, own)):
        return None
    ours = f", and this machine is seen as {own}" if own else "; check that the address you come from is among them"
    return f"the firewall {firewall.name} lets SSH in only from {', '.join(map(str, networks))}{ours}"


def from_outside(spec: ClusterSpec, rules: Iterable[FirewallRule]) -> tuple[FirewallRule, ...]:
    """Return the rules about packets that do not come from the cluster's own nodes."""
    return tuple(rule for rule in rules if not _is_between_nodes(spec, rule))


def _is_between_nodes(spec: ClusterSpec, rule: FirewallRule) -> bool:
    if not spec.network.private:
        return rule.description == BETWEEN_NODES
    return [str(_network(text)) for text in rule.networks] == [str(ip_network(spec.network.subnet, strict=False))]
