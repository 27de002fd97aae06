"""The firewall: its rules as 2.6 writes them, compared by their effect, and the servers that it is on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.desired.network import of_another_range
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.spec import API_PORT, ClusterSpec, FirewallRuleSpec
from hetzner_k3s.model.text.wording import listed

ANYWHERE: Final = ("0.0.0.0/0", "::/0")
RULES: Final = "firewall rules"
APPLIED_TO: Final = "firewall targets"

_NAMED: Final = 3

_Effect = tuple[str, str, str, frozenset[str]]


def filtered_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return where an existing firewall has other rules than the file, or is not on the cluster's servers."""
    existing, selector = lookup.firewall(context.spec, context.view), naming.cluster_selector(context.spec.name)
    if existing is None:
        return
    wanted, seen = _effects(wanted_rules(context)), _effects(existing.rules)
    if wanted != seen:
        yield _differs(existing.name, RULES, _listed(wanted - seen), _listed(seen - wanted))
    if selector not in existing.selectors:
        yield _differs(existing.name, APPLIED_TO, selector, ", ".join(existing.selectors) or "none")


def wanted_rules(context: DecisionContext) -> tuple[FirewallRule, ...]:
    """Return the rules for the network that is there: servers stay in its range, whatever the file says by now."""
    spec, network = context.spec, lookup.network(context.spec, context.view)
    if network is None or not any(of_another_range(context)):
        return firewall_rules(spec)
    return firewall_rules(replace(spec, network=replace(spec.network, subnet=network.ip_range)))


def firewall_rules(spec: ClusterSpec) -> tuple[FirewallRule, ...]:
    """Return the rules as 2.6 writes them with a private network.

    See docs/facts/compatibility.md#firewall-rules.
    """
    allowed = spec.firewall
    rules = [
        _inbound("tcp", str(spec.ssh.port), allowed.ssh_networks, "Allow SSH port"),
        _inbound("icmp", None, ANYWHERE, "Allow ICMP (ping)"),
    ]
    if allowed.node_ports is not None:
        ports = str(allowed.node_ports)
        rules += [_inbound(p, ports, ANYWHERE, f"Allow NodePorts ({p})") for p in ("tcp", "udp")]
    rules.append(_inbound("tcp", str(API_PORT), allowed.api_networks, "Allow Kubernetes API"))
    inside = (spec.network.subnet,)
    rules += [_inbound(p, "any", inside, f"Allow {p} in the private network") for p in ("tcp", "udp")]
    return (*rules, *map(_custom, allowed.custom_rules))


def from_outside(spec: ClusterSpec, rules: tuple[FirewallRule, ...]) -> tuple[FirewallRule, ...]:
    """Return the rules about packets from outside the private network."""
    return tuple(rule for rule in rules if rule.networks != (spec.network.subnet,))


def _inbound(protocol: str, port: str | None, networks: tuple[str, ...], description: str) -> FirewallRule:
    return FirewallRule(direction="in", protocol=protocol, port=port, networks=networks, description=description)


def _custom(rule: FirewallRuleSpec) -> FirewallRule:
    return FirewallRule(
        direction=rule.direction,
        protocol=rule.protocol,
        port=rule.port,
        networks=rule.addresses,
        description=rule.description,
    )


def _effects(rules: tuple[FirewallRule, ...]) -> frozenset[_Effect]:
    return frozenset((r.direction, r.protocol, r.port or "", frozenset(r.networks)) for r in rules)


def _differs(name: str, field: str, wanted: str, seen: str) -> Difference:
    return Difference(subject=name, field=field, wanted=wanted, seen=seen, remedy=Remedy.APPLY)


def _listed(effects: Iterable[_Effect]) -> str:
    """Return a few rules as text, "none" where there are none."""
    texts = sorted(
        f"{direction} {' '.join(filter(None, (protocol, port)))} {'from' if direction == 'in' else 'to'} "
        f"{', '.join(sorted(networks))}"
        for direction, protocol, port, networks in effects
    )
    return listed(texts, _NAMED, "; ") if texts else "none"
