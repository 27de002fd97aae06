"""Carries out the steps about the cloud resources around the servers; each effect is create-or-adopt."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.model.steps import (
    EnsureFirewall,
    EnsureLoadBalancer,
    EnsureNetwork,
    EnsurePlacementGroup,
    EnsureSshKey,
)


async def ensure_ssh_key(step: EnsureSshKey, context: Context) -> Outcome:
    """Register the operator's public key."""
    context.say(step.target, "registering the SSH key")
    return Outcome((await context.ports.cloud.create_ssh_key(step.target, step.public_key),))


async def ensure_network(step: EnsureNetwork, context: Context) -> Outcome:
    """Make the private network."""
    context.say(step.target, f"making the private network {step.ip_range}")
    return Outcome((await context.ports.cloud.create_network(step.target, step.ip_range, step.zone, step.labels),))


async def ensure_placement_group(step: EnsurePlacementGroup, context: Context) -> Outcome:
    """Make a spread placement group."""
    context.say(step.target, "making the placement group")
    return Outcome((await context.ports.cloud.create_placement_group(step.target, step.labels),))


async def ensure_firewall(step: EnsureFirewall, context: Context) -> Outcome:
    """Make the firewall, or give an existing one its rules."""
    cloud = context.ports.cloud
    if step.existing is None:
        context.say(step.target, "making the firewall")
        made = await cloud.create_firewall(
            step.target, step.rules, step.selector, step.labels, made=lambda new: context.learn(Outcome((new,)))
        )
        return Outcome((made,))
    before = next(f for f in context.state.view.firewalls if f.id == step.existing)
    context.say(step.target, "setting the firewall's rules")
    await cloud.set_firewall_rules(step.existing, step.rules)
    if step.selector in before.selectors:
        return Outcome((replace(before, rules=step.rules),))
    context.say(step.target, f"applying the firewall to servers with {step.selector}")
    await cloud.apply_firewall(step.existing, step.selector)
    return Outcome((replace(before, rules=step.rules, selectors=(*before.selectors, step.selector)),))


async def ensure_load_balancer(step: EnsureLoadBalancer, context: Context) -> Outcome:
    """Make the load balancer of the Kubernetes API, or give an existing one what it lacks."""
    network = next((n.id for n in context.state.view.networks if n.name == step.network), None)
    if step.existing is not None:
        context.say(step.target, "correcting the API load balancer")
        cloud = context.ports.cloud
        return Outcome((await cloud.correct_load_balancer(step.existing, network, step.selector),))
    context.say(step.target, "making the API load balancer")
    made = await context.ports.cloud.create_load_balancer(
        step.target, step.location, network, step.selector, step.labels
    )
    return Outcome((made,))
