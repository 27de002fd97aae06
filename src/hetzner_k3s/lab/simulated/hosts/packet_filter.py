"""Whether the firewalls of a simulated host let a TCP connection in: they act on its public interface only."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network

from hetzner_k3s.lab.cloud.effects.machines import FirewallRule


def lets_in(rules: Iterable[FirewallRule], port: int, source: str) -> bool:
    """Check whether any rule lets connections to a port from an address in."""
    return any(_fits(rule, port, source) for rule in rules)


def _fits(rule: FirewallRule, port: int, source: str) -> bool:
    if rule.direction != "in" or rule.protocol != "tcp":
        return False
    first, _, last = (rule.port or "any").partition("-")
    fits = first == "any" or int(first) <= port <= int(last or first)
    return fits and any(ip_address(source) in ip_network(network) for network in rule.source_ips)
