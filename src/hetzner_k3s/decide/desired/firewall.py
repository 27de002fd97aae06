"""The firewall: its rules as 2.6 writes them, compared by their effect, and the servers that it is on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.desired import internet
from hetzner_k3s.decide.desired.network import of_another_range
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import FirewallRule
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.hetzner import access
from hetzner_k3s.model.hetzner.access import MAX_NETWORKS_A_RULE
from hetzner_k3s.model.spec import API_PORT, ClusterSpec, FirewallRuleSpec
from hetzner_k3s.model.text.wording import listed

ANYWHERE: Final = ("0.0.0.0/0", "::/0")
WIREGUARD_PORT: Final = "51820"
"""On which flannel's backend `wireguard-native` listens (docs/facts/k3s.md#wireguard); it answers its peers alone."""
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


def only_lets_in_who_is_gone(context: DecisionContext) -> bool:
    """Check whether an existing firewall differs in nothing but addresses of servers that are gone.

    That is put right with the rest. Whatever else differs is not: somebody's hand may keep the nodes apart, or let
    everybody in, and that ends whatever is refused.
    """
    existing = lookup.firewall(context.spec, context.view)
    if existing is None or any(d.field == APPLIED_TO for d in filtered_otherwise(context)):
        return False
    wanted, seen = (_by_peers(rules) for rules in (wanted_rules(context), existing.rules))
    too_many = seen[1] - wanted[1]
    return wanted[0] == seen[0] and wanted[1] < seen[1] and all(map(access.is_one_address, too_many))


def _by_peers(rules: tuple[FirewallRule, ...]) -> tuple[frozenset[_Effect], frozenset[str]]:
    """Return the rules that are not for the cluster's own, and the addresses for which the others are."""
    theirs = tuple(rule for rule in rules if access.is_between_nodes(rule))
    others = _effects(tuple(rule for rule in rules if rule not in theirs))
    return others, frozenset(address for rule in theirs for address in rule.networks)


def wanted_rules(context: DecisionContext) -> tuple[FirewallRule, ...]:
    """Return the rules for the network that is there: servers stay in its range, whatever the file says by now."""
    spec, network = context.spec, lookup.network(context.spec, context.view)
    if not spec.network.private:
        return firewall_rules(spec, internet.peers(context))
    if network is None or not any(of_another_range(context)):
        return firewall_rules(spec)
    return firewall_rules(replace(spec, network=replace(spec.network, subnet=network.ip_range)))


def firewall_rules(spec: ClusterSpec, peers: Sequence[str] = ()) -> tuple[FirewallRule, ...]:
    """Return the rules as 2.6 writes them with a private network, and without one those that `peers` need.

    See docs/facts/compatibility.md#firewall-rules.

    Args:
        spec: the file.
        peers: the addresses (CIDR) from which a cluster without a private network is reached by its own.
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
    return (*rules, *_between_nodes(spec, peers), *map(_custom, allowed.custom_rules))


def _between_nodes(spec: ClusterSpec, peers: Sequence[str]) -> list[FirewallRule]:
    if spec.network.private:
        inside = (spec.network.subnet,)
        return [_inbound(p, "any", inside, access.within_network(p)) for p in ("tcp", "udp")]
    tunnels = _inbound("udp", WIREGUARD_PORT, ANYWHERE, "Allow WireGuard")
    starts = range(0, len(peers), MAX_NETWORKS_A_RULE)
    lists = (tuple(peers[start : start + MAX_NETWORKS_A_RULE]) for start in starts)
    return [tunnels, *(_inbound("tcp", "any", some, access.BETWEEN_NODES) for some in lists)]


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
        f"{listed(sorted(networks), _NAMED)}"
        for direction, protocol, port, networks in effects
    )
    return listed(texts, _NAMED, "; ") if texts else "none"
