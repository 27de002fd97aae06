"""Puts what a step learned into the state, so that nothing needs to be listed again for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, TypeVar

from hetzner_k3s.act.context import LabelChange, Outcome
from hetzner_k3s.model.cloud import (
    CloudResource,
    CloudView,
    Firewall,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    SshKey,
)
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hetzner.belongings import Volume
from hetzner_k3s.model.state import ClusterState


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


_Listed = TypeVar("_Listed", bound=_Numbered)
_Labelled = TypeVar("_Labelled", Server, Network, PlacementGroup, Firewall, LoadBalancer, Volume)


def learn(state: ClusterState, outcome: Outcome) -> ClusterState:
    """Return the state with what a step learned.

    A listing that failed stays unknown: with one server folded in, it would show all others as absent.
    """
    if not isinstance(state.cloud, Known):
        return state
    state = replace(state.with_view(fold(state.view, outcome)), ordered=state.ordered | outcome.ordered)
    for stored in outcome.snapshots:
        state = state.with_snapshot(stored)
    return state


def fold(view: CloudView, outcome: Outcome) -> CloudView:
    """Return the listing with the resources that a step made, changed or deleted, and the labels that it set."""
    for resource in outcome.resources:
        view = _put(view, resource)
    view = _with_new(view, outcome.listed)
    for change in outcome.labels:
        view = _relabel(view, change)
    for gone in outcome.gone:
        view = view.without(gone.kind, gone.resource_id)
    return view


def _with_new(view: CloudView, listed: tuple[Server, ...]) -> CloudView:
    """Add servers that are newer than all that are known: ids grow, and an older one may be gone since."""
    newest = max((server.id for server in view.servers), default=0)
    return replace(view, servers=(*view.servers, *(server for server in listed if server.id > newest)))


def _put(view: CloudView, resource: CloudResource) -> CloudView:
    match resource:
        case Server():
            return replace(view, servers=_put_by_id(view.servers, _with_learned_labels(view.servers, resource)))
        case Network():
            return replace(view, networks=_put_by_id(view.networks, resource))
        case PlacementGroup():
            return replace(view, placement_groups=_put_by_id(view.placement_groups, resource))
        case Firewall():
            return replace(view, firewalls=_put_by_id(view.firewalls, _with_learned_labels(view.firewalls, resource)))
        case LoadBalancer():
            return replace(view, load_balancers=_put_by_id(view.load_balancers, resource))
        case SshKey():
            return replace(view, ssh_keys=_put_by_id(view.ssh_keys, resource))


def _with_learned_labels(listed: tuple[_Labelled, ...], changed: _Labelled) -> _Labelled:
    """Keep the labels that were learned while a step went on: a bootstrap may be recorded beside it."""
    known = next((resource for resource in listed if resource.id == changed.id), changed)
    return replace(changed, labels=known.labels)


def _put_by_id(old: tuple[_Listed, ...], new: _Listed) -> tuple[_Listed, ...]:
    return tuple(sorted([*(r for r in old if r.id != new.id), new], key=lambda r: r.id))


def _relabel(view: CloudView, change: LabelChange) -> CloudView:
    match change.kind:
        case "server":
            return replace(view, servers=_relabelled(view.servers, change))
        case "network":
            return replace(view, networks=_relabelled(view.networks, change))
        case "placement_group":
            return replace(view, placement_groups=_relabelled(view.placement_groups, change))
        case "firewall":
            return replace(view, firewalls=_relabelled(view.firewalls, change))
        case "load_balancer":
            return replace(view, load_balancers=_relabelled(view.load_balancers, change))
        case "volume" if view.belongings is not None:
            volumes = _relabelled(view.belongings.volumes, change)
            return replace(view, belongings=replace(view.belongings, volumes=volumes))
        case kind:
            raise ValueError(f"a {kind} carries no labels of ours")


def _relabelled(resources: tuple[_Labelled, ...], change: LabelChange) -> tuple[_Labelled, ...]:
    return tuple(_with_labels(r, change) if r.id == change.resource_id else r for r in resources)


def _with_labels(resource: _Labelled, change: LabelChange) -> _Labelled:
    merged = {**resource.labels, **change.labels}
    return replace(resource, labels={key: value for key, value in merged.items() if value is not None})
