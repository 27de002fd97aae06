"""The cloud resources around the servers: key, network, placement groups, firewall, API load balancer."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.basis import Basis, Opinion
from hetzner_k3s.decide.predictions import PREDICTED_ADDRESS
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import (
    CloudView,
    Firewall,
    FirewallRule,
    LoadBalancer,
    Network,
    PlacementGroup,
    SshKey,
)
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import API_PORT, ClusterSpec, FirewallRuleSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    EnsureFirewall,
    EnsureLoadBalancer,
    EnsureNetwork,
    EnsurePlacementGroup,
    EnsureSshKey,
    Step,
)

ANYWHERE = ("0.0.0.0/0", "::/0")


def lay_infrastructure(basis: Basis) -> Opinion | None:
    """Plan whatever of the surroundings is missing or differs."""
    steps = (
        *_ssh_key(basis),
        *_network(basis),
        *_placement_groups(basis),
        *_firewall(basis),
        *_load_balancer(basis),
    )
    return Opinion(steps)


def _planned(step: Step, because: str, reason: Reason = Reason.MISSING) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=reason, because=because)


def _ssh_key(basis: Basis) -> tuple[PlannedStep, ...]:
    if lookup.ssh_key(basis.spec, basis.view):
        return ()
    step = EnsureSshKey(target=basis.spec.ssh_key_name, public_key=basis.spec.ssh.public_key)
    return (_planned(step, "the project does not know your public key"),)


def _network(basis: Basis) -> tuple[PlannedStep, ...]:
    if lookup.network(basis.spec, basis.view) or basis.spec.network.existing_network_name:
        return ()
    step = EnsureNetwork(
        target=basis.spec.network_name,
        ip_range=basis.spec.network.subnet,
        zone=basis.spec.network.zone,
        labels={naming.LABEL_CLUSTER: basis.spec.name},
    )
    return (_planned(step, "the project has no network of this name"),)


def _placement_groups(basis: Basis) -> tuple[PlannedStep, ...]:
    return tuple(
        _planned(
            EnsurePlacementGroup(target=group.name, labels=naming.placement_group_labels(basis.spec.name, group.pool)),
            "its servers should stand on different machines",
        )
        for group in basis.spec.placement_groups()
        if lookup.placement_group(group.name, basis.view) is None
    )


def _firewall(basis: Basis) -> tuple[PlannedStep, ...]:
    existing = lookup.firewall(basis.spec, basis.view)
    rules, selector = firewall_rules(basis.spec), naming.cluster_selector(basis.spec.name)
    differ = existing is not None and _effect(existing.rules) != _effect(rules)
    if existing and not differ and selector in existing.selectors:
        return ()
    step = EnsureFirewall(
        target=naming.firewall(basis.spec.name),
        rules=rules,
        selector=selector,
        labels={naming.LABEL_CLUSTER: basis.spec.name},
        existing=existing.id if existing else None,
    )
    if existing:
        because = "its rules differ from the file's" if differ else "it is not applied to the cluster's servers"
        return (_planned(step, because, Reason.DIFFERS),)
    return (_planned(step, "the project has no firewall of this name"),)


def firewall_steps(basis: Basis) -> tuple[Step, ...]:
    """Return what would be done about the firewall."""
    return tuple(planned.step for planned in _firewall(basis))


def from_outside(spec: ClusterSpec, rules: tuple[FirewallRule, ...]) -> tuple[FirewallRule, ...]:
    """Return the rules about packets from outside the private network."""
    return tuple(rule for rule in rules if rule.networks != (spec.network.subnet,))


def _effect(rules: tuple[FirewallRule, ...]) -> frozenset[tuple[str, str, str, frozenset[str]]]:
    return frozenset((r.direction, r.protocol, r.port or "", frozenset(r.networks)) for r in rules)


def firewall_rules(spec: ClusterSpec) -> tuple[FirewallRule, ...]:
    """Give the rules as 2.6 writes them with a private network (DEMAND_AND_COMPATIBILITY.md 6.8)."""
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


def _load_balancer(basis: Basis) -> tuple[PlannedStep, ...]:
    network = lookup.network(basis.spec, basis.view)
    if not basis.spec.api_load_balancer or lookup.load_balancer(basis.spec, basis.view) or network is None:
        return ()
    step = EnsureLoadBalancer(
        target=naming.api_load_balancer(basis.spec.name),
        location=basis.spec.masters[0].location,
        network=network.name,
        selector=naming.members_selector(basis.spec.name),
        labels={naming.LABEL_CLUSTER: basis.spec.name},
    )
    return (_planned(step, "the file asks for one"),)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Say what the listing shows after a step of infrastructure; made-up ids are negative."""
    view = state.view
    match step:
        case EnsureSshKey():
            key = SshKey(id=-1, name=step.target, fingerprint=lookup.fingerprint(step.public_key) or "")
            return state.with_view(replace(view, ssh_keys=(*view.ssh_keys, key)))
        case EnsureNetwork():
            network = Network(id=-2, name=step.target, ip_range=step.ip_range, labels=step.labels)
            return state.with_view(replace(view, networks=(*view.networks, network)))
        case EnsurePlacementGroup():
            group = PlacementGroup(id=-1000 - len(view.placement_groups), name=step.target, labels=step.labels)
            return state.with_view(replace(view, placement_groups=(*view.placement_groups, group)))
        case EnsureFirewall():
            return state.with_view(_with_firewall(view, step))
        case EnsureLoadBalancer():
            return state.with_view(replace(view, load_balancers=(*view.load_balancers, _balancer(step))))
        case _:
            return state


def _balancer(step: EnsureLoadBalancer) -> LoadBalancer:
    return LoadBalancer(
        id=-4, name=step.target, public_ipv4=PREDICTED_ADDRESS, selectors=(step.selector,), labels=step.labels
    )


def _with_firewall(view: CloudView, step: EnsureFirewall) -> CloudView:
    if step.existing is None:
        made = Firewall(id=-3, name=step.target, rules=step.rules, selectors=(step.selector,), labels=step.labels)
        return replace(view, firewalls=(*view.firewalls, made))
    changed = (_applied(firewall, step) if firewall.id == step.existing else firewall for firewall in view.firewalls)
    return replace(view, firewalls=tuple(changed))


def _applied(firewall: Firewall, step: EnsureFirewall) -> Firewall:
    selectors = tuple(dict.fromkeys((*firewall.selectors, step.selector)))
    return replace(firewall, rules=step.rules, selectors=selectors)
