"""What a deletion leaves, why, and how it is removed later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hetzner_k3s.decide.lifecycle.deletion.belongings import (
    Standing,
    lasting_uid,
    load_balancers,
    named_by_api,
    volumes,
)
from hetzner_k3s.decide.lifecycle.deletion.teardown import journal_stays, kubeconfig_is_its
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.consents import Consent, WithLoadBalancers, WithVolumes
from hetzner_k3s.model.hetzner.belongings import Address, Volume


def kept(context: DecisionContext) -> tuple[str, ...]:
    """Name what a deletion leaves, and why."""
    return (
        *_network(context),
        *_load_balancers(context),
        *_volumes(context),
        *_addresses(context),
        *_kubeconfig(context),
        *_journal(context),
    )


def _network(context: DecisionContext) -> Iterator[str]:
    if context.spec.network.existing_network_name:
        yield f"network {context.spec.network_name} existed before the cluster and stays"
    elif lookup.own_network(context.spec, context.view) and lookup.network_is_shared(context.spec, context.view):
        yield "the network stays: servers of others are attached to it"


def _load_balancers(context: DecisionContext) -> Iterator[str]:
    found = load_balancers(context)
    ours, others, doubtful = found[Standing.OURS], found[Standing.BY_HAND], found[Standing.DOUBTFUL]
    if ours and (why := _why_ours_stay(context, WithLoadBalancers())):
        yield f"{_left(ours)}, which costs money: of this cluster's Services; {why}. {_later(ours)}"
    if others:
        yield f"{_left(others)}: not a Service's, or servers of others are behind it too. {_later(others)}"
    if doubtful:
        yield f"{_left(doubtful)}, which costs money: a Service's, and nothing proves of which cluster. " + _later(
            doubtful
        )


def _volumes(context: DecisionContext) -> Iterator[str]:
    found = volumes(context)
    ours, by_hand, doubtful = found[Standing.OURS], found[Standing.BY_HAND], found[Standing.DOUBTFUL]
    if ours and (why := _why_ours_stay(context, WithVolumes())):
        yield f"{_left(ours)}, detached, with all data: made by Kubernetes for this cluster; {why}. {_later(ours)}"
    if by_hand:
        yield f"{_left(by_hand)}, detached, with all data: not made by Kubernetes. {_later(by_hand)}"
    if doubtful:
        yield f"{_left(doubtful)}, with all data: {_why_doubtful(context)}. {_later(doubtful)}"


def _why_ours_stay(context: DecisionContext, consent: Consent) -> str:
    """Return why what is proven to be this cluster's stays; nothing where it goes."""
    if consent not in context.consents:
        return f"goes too with {consent}"
    if lasting_uid(context) is not None:
        return ""
    return (
        "nothing that outlives the servers records a UID of this cluster alone, so nothing would prove it without them"
    )


def _why_doubtful(context: DecisionContext) -> str:
    asked = "no master told whose" if named_by_api(context) is None else "named by no PersistentVolume here"
    return f"made by Kubernetes, and perhaps for this cluster, but at no server, and {asked}"


def _addresses(context: DecisionContext) -> Iterator[str]:
    found = context.view.belongings
    servers = {server.id for server in lookup.owned_servers(context.spec.name, context.view)}
    for address in found.addresses if found is not None else ():
        near = address.server in servers or lookup.is_owned(context.spec.name, address.labels)
        if near and not address.goes_with_server:
            yield (
                f"{_kind(address)} {address.name} (id {address.id}, {address.ip}) stays, and costs money. "
                f"{_later((address,))}"
            )


def _left(resources: Sequence[Volume] | Sequence[LoadBalancer]) -> str:
    """Say what of a kind stays, by name and id."""
    names, kind = ", ".join(map(_of, resources)), _kind(resources[0])
    return f"{kind} {names} stays" if len(resources) == 1 else f"{kind}s {names} stay"


def _of(resource: Volume | LoadBalancer) -> str:
    if isinstance(resource, LoadBalancer):
        return f"{resource.name} (id {resource.id})"
    claim = f", of {resource.claim}" if resource.claim else ""
    return f"{resource.name} (id {resource.id}, {resource.size} GB{claim})"


def _kind(resource: Volume | LoadBalancer | Address) -> str:
    match resource:
        case Volume():
            return "volume"
        case LoadBalancer():
            return "load balancer"
        case Address():
            return "floating IP" if resource.kind == "floating_ip" else "primary IP"


def _later(resources: Sequence[Volume] | Sequence[LoadBalancer] | Sequence[Address]) -> str:
    """Return how it is removed by hand."""
    command = _kind(resources[0]).lower().replace(" ", "-")
    return f"Later: `hcloud {command} delete {' '.join(str(resource.id) for resource in resources)}`"


def _kubeconfig(context: DecisionContext) -> Iterator[str]:
    if context.state.local.kubeconfig_ca is not None and not kubeconfig_is_its(context):
        yield f"{context.spec.kubeconfig_path} stays: nothing in this project proves that it is of this cluster"


def _journal(context: DecisionContext) -> Iterator[str]:
    if journal_stays(context):
        yield (
            f"this machine still remembers a bootstrap of '{context.spec.name}' that nothing in this project "
            "tells of: the token may be another project's. If that cluster is gone for good, delete without --force "
            "and type its name"
        )
