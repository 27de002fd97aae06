"""The cloud resources around the servers: key, network, placement groups, firewall, API load balancer."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.desired import balancer, firewall
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.decide.view.predictions import PREDICTED_ADDRESS
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import (
    BalancerTarget,
    CloudView,
    Firewall,
    LoadBalancer,
    Network,
    PlacementGroup,
    SshKey,
)
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.hetzner.load_balancing import API_SERVICE
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    EnsureFirewall,
    EnsureLoadBalancer,
    EnsureNetwork,
    EnsurePlacementGroup,
    EnsureSshKey,
    Step,
)


def ensure_infrastructure(context: DecisionContext) -> Proposal | None:
    """Plan whatever of the surroundings is missing or differs."""
    steps = (
        *_ssh_key(context),
        *_network(context),
        *_placement_groups(context),
        *_firewall(context),
        *_load_balancer(context),
    )
    return Proposal(steps)


def _planned(step: Step, because: str, reason: Reason = Reason.MISSING) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.INFRASTRUCTURE, reason=reason, because=because)


def _ssh_key(context: DecisionContext) -> tuple[PlannedStep, ...]:
    if lookup.ssh_key(context.spec, context.view):
        return ()
    step = EnsureSshKey(target=context.spec.ssh_key_name, public_key=context.spec.ssh.public_key)
    return (_planned(step, "the project does not know your public key"),)


def _network(context: DecisionContext) -> tuple[PlannedStep, ...]:
    if not lookup.lacks_network(context.spec, context.view) or context.spec.network.existing_network_name:
        return ()
    step = EnsureNetwork(
        target=context.spec.network_name,
        ip_range=context.spec.network.subnet,
        zone=context.spec.network.zone,
        labels={naming.LABEL_CLUSTER: context.spec.name},
    )
    return (_planned(step, "the project has no network of this name"),)


def _placement_groups(context: DecisionContext) -> tuple[PlannedStep, ...]:
    return tuple(
        _planned(
            EnsurePlacementGroup(
                target=group.name, labels=naming.placement_group_labels(context.spec.name, group.pool)
            ),
            "its servers should stand on different machines",
        )
        for group in context.spec.placement_groups()
        if lookup.placement_group(group.name, context.view) is None
    )


def _firewall(context: DecisionContext) -> tuple[PlannedStep, ...]:
    existing, differs = lookup.firewall(context.spec, context.view), tuple(firewall.filtered_otherwise(context))
    if existing and (not differs or _can_wait(context)):
        return ()
    step = EnsureFirewall(
        target=naming.firewall(context.spec.name),
        rules=firewall.wanted_rules(context),
        selector=naming.cluster_selector(context.spec.name),
        labels={naming.LABEL_CLUSTER: context.spec.name},
        existing=existing.id if existing else None,
    )
    if existing:
        return (_planned(step, " and ".join(map(_of_firewall, differs)), Reason.DIFFERS),)
    return (_planned(step, "the project has no firewall of this name"),)


def _can_wait(context: DecisionContext) -> bool:
    """Check whether new servers' addresses will come in, and with them those go that are nobody's any more."""
    coming = (server.name for server in context.spec.servers() if context.server(server.name) is None)
    return firewall.only_lets_in_who_is_gone(context) and any(name not in context.intent.unsold for name in coming)


def _of_firewall(differs: Difference) -> str:
    if differs.field != firewall.RULES:
        return "it is not applied to the cluster's servers"
    return f"its rules differ from the file's (missing: {differs.wanted}; not in the file: {differs.seen})"


def firewall_steps(context: DecisionContext) -> tuple[Step, ...]:
    """Return what would be done about the firewall."""
    return tuple(planned.step for planned in _firewall(context))


def _load_balancer(context: DecisionContext) -> tuple[PlannedStep, ...]:
    network, existing = lookup.network(context.spec, context.view), lookup.load_balancer(context.spec, context.view)
    applied = tuple(d for d in balancer.balanced_otherwise(context) if d.remedy is Remedy.APPLY)
    awaits = lookup.lacks_network(context.spec, context.view)
    if not context.spec.api_load_balancer or awaits or (existing and not applied):
        return ()
    step = EnsureLoadBalancer(
        target=naming.api_load_balancer(context.spec.name),
        location=context.spec.masters[0].location,
        network=network.name if network else None,
        selector=naming.members_selector(context.spec.name),
        labels={naming.LABEL_CLUSTER: context.spec.name},
        existing=existing.id if existing else None,
    )
    if existing:
        differs = " and ".join(f"{d.seen} (the file: {d.wanted})" for d in applied)
        return (_planned(step, f"it has {differs}", Reason.DIFFERS),)
    return (_planned(step, "the file asks for one"),)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the listing shows after a step of infrastructure; made-up ids are negative."""
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
            return state.with_view(_with_balancer(view, step))
        case _:
            return state


def _with_balancer(view: CloudView, step: EnsureLoadBalancer) -> CloudView:
    made = LoadBalancer(id=-4, name=step.target, public_ipv4=PREDICTED_ADDRESS, labels=step.labels)
    found = (*view.load_balancers, made) if step.existing is None else view.load_balancers
    number = made.id if step.existing is None else step.existing
    changed = (_complete(one, view, step) if one.id == number else one for one in found)
    return replace(view, load_balancers=tuple(changed))


def _complete(lacking: LoadBalancer, view: CloudView, step: EnsureLoadBalancer) -> LoadBalancer:
    """Return a load balancer with all that the step gives it; an address of before stays."""
    attached = {network.id: PREDICTED_ADDRESS for network in view.networks if network.name == step.network}
    target = BalancerTarget(kind="label_selector", name=step.selector, private=step.network is not None)
    others = tuple(s for s in lacking.services if s.listen_port != API_SERVICE.listen_port)
    targets = tuple(dict.fromkeys((*(t for t in lacking.targets if t.name != step.selector), target)))
    private_ips = {**attached, **lacking.private_ips}
    return replace(lacking, private_ips=private_ips, services=(*others, API_SERVICE), targets=targets)


def _with_firewall(view: CloudView, step: EnsureFirewall) -> CloudView:
    if step.existing is None:
        made = Firewall(id=-3, name=step.target, rules=step.rules, selectors=(step.selector,), labels=step.labels)
        return replace(view, firewalls=(*view.firewalls, made))
    changed = (_applied(one, step) if one.id == step.existing else one for one in view.firewalls)
    return replace(view, firewalls=tuple(changed))


def _applied(existing: Firewall, step: EnsureFirewall) -> Firewall:
    selectors = tuple(dict.fromkeys((*existing.selectors, step.selector)))
    return replace(existing, rules=step.rules, selectors=selectors)
