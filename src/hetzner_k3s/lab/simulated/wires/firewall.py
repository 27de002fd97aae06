"""Whether a packet of the operator's SSH reaches a simulated host: firewalls act on public interfaces only."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from hetzner_k3s.lab.cloud.effects.machines import FirewallRule
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.model.hosts.contact import HostTarget


def passes(host: Host, target: HostTarget, source: str) -> bool:
    """Check whether a connection to a host's SSH gets through from an address."""
    if host.rules is None or target.address != host.spec.public_ipv4:
        return True
    return any(_lets_in(rule, target.port, source) for rule in host.rules)


def _lets_in(rule: FirewallRule, port: int, source: str) -> bool:
    if rule.direction != "in" or rule.protocol != "tcp":
        return False
    first, _, last = (rule.port or "any").partition("-")
    fits = first == "any" or int(first) <= port <= int(last or first)
    return fits and any(ip_address(source) in ip_network(network) for network in rule.source_ips)
