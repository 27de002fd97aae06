"""Whose the volumes and load balancers of Kubernetes are, and which of them a deletion takes.

They go by consent only, and only where something proves that they are this cluster's: a volume is data. What proves it
goes first, the servers; so what is to go is marked before, with the UID of the cluster, which no later cluster of the
same name has. After the servers the mark alone counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TypeVar

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import LoadBalancer
from hetzner_k3s.model.consents import Consent, WithLoadBalancers, WithVolumes
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hetzner.belongings import Volume
from hetzner_k3s.model.identity import read_record
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import MarkForDeletion, Step


class Standing(Enum):
    """Whose a volume or a load balancer is: `BY_HAND` is at this cluster's servers, and not Kubernetes' to let go."""

    OURS = auto()
    BY_HAND = auto()
    DOUBTFUL = auto()
    OTHERS = auto()


_Kept = TypeVar("_Kept", Volume, LoadBalancer)


@dataclass(frozen=True, slots=True)
class Going:
    """What Kubernetes made and the deletion takes: `kind` as a step names it, `uid` what it is marked with."""

    kind: str
    resource: Volume | LoadBalancer
    consent: Consent
    uid: str

    @property
    def marked(self) -> bool:
        """Check whether it is marked as this cluster's."""
        return self.resource.labels.get(naming.LABEL_GOES_WITH) == self.uid


def lasting_uid(context: DecisionContext) -> str | None:
    """Return the cluster's UID as what outlives its servers records it, None where nothing can be marked with one.

    Another cluster that records the same came out of the same data: its API and its marks name the same volumes.
    """
    told = (read_record(carrier.labels).uid for carrier in lookup.shared_carriers(context.spec, context.view))
    uid = next((uid for uid in told if uid is not None), None)
    return None if uid is None or _others_record(context, uid) else uid


def _others_record(context: DecisionContext, uid: str) -> bool:
    view = context.view
    kinds = (view.placement_groups, view.networks, view.firewalls, view.servers)
    recording = [one.labels for kind in kinds for one in kind if one.labels.get(naming.LABEL_UID) == uid]
    return any(not lookup.is_owned(context.spec.name, labels) for labels in recording)


def going(context: DecisionContext) -> tuple[Going, ...]:
    """Return what Kubernetes made and this deletion takes."""
    uid, given = lasting_uid(context), context.consents
    if uid is None:
        return ()
    balancers = load_balancers(context)[Standing.OURS] if WithLoadBalancers() in given else ()
    taken = volumes(context)[Standing.OURS] if WithVolumes() in given else ()
    return (
        *(Going("load_balancer", balancer, WithLoadBalancers(), uid) for balancer in balancers),
        *(Going("volume", volume, WithVolumes(), uid) for volume in taken),
    )


def volumes(context: DecisionContext) -> Mapping[Standing, tuple[Volume, ...]]:
    """Sort the project's volumes."""
    found, proofs = context.view.belongings, _proofs(context)
    return _sorted(found.volumes if found is not None else (), lambda volume: _of_volume(proofs, volume))


def load_balancers(context: DecisionContext) -> Mapping[Standing, tuple[LoadBalancer, ...]]:
    """Sort the project's load balancers, without that of the Kubernetes API."""
    api, proofs = lookup.deletable_load_balancer(context.spec, context.view), _proofs(context)
    others = tuple(balancer for balancer in context.view.load_balancers if balancer != api)
    return _sorted(others, lambda balancer: _of_balancer(proofs, balancer))


def named_by_api(context: DecisionContext) -> frozenset[int] | None:
    """Return the volumes (ids) that PersistentVolumes of this very cluster name, None where no master of it told."""
    uid = lasting_uid(context)
    told = (reading.value for reading in context.state.named_volumes.values() if isinstance(reading, Known))
    ours = [answer.ids for answer in told if answer.uid == uid]
    return frozenset[int]().union(*ours) if ours else None


def _sorted(
    resources: tuple[_Kept, ...], standing: Callable[[_Kept], Standing]
) -> Mapping[Standing, tuple[_Kept, ...]]:
    told = [(standing(resource), resource) for resource in resources]
    return {wanted: tuple(resource for of, resource in told if of is wanted) for wanted in Standing}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Proofs:
    """What proves whose a thing is: the servers (ids) that there are, and ours of them; what our API names."""

    cluster: str
    listed: frozenset[int]
    ours: frozenset[int]
    named: frozenset[int]
    uid: str | None
    network: int | None
    network_is_ours: bool


def _proofs(context: DecisionContext) -> _Proofs:
    spec, view = context.spec, context.view
    return _Proofs(
        cluster=spec.name,
        listed=frozenset(server.id for server in view.servers),
        ours=frozenset(server.id for server in lookup.owned_servers(spec.name, view)),
        named=named_by_api(context) or frozenset(),
        uid=lasting_uid(context),
        network=lookup.network_id(spec, view),
        network_is_ours=lookup.deletable_network(spec, view) is not None,
    )


def _of_volume(proofs: _Proofs, volume: Volume) -> Standing:
    """Judge a volume: one at a server of others is theirs, whatever else is said of it."""
    at_ours, mark = volume.server in proofs.ours, volume.labels.get(naming.LABEL_GOES_WITH)
    if volume.server in proofs.listed and not at_ours:
        return Standing.OTHERS
    proven = at_ours or volume.id in proofs.named
    if not volume.by_csi:
        near = proven or lookup.is_owned(proofs.cluster, volume.labels)
        return Standing.BY_HAND if near else Standing.OTHERS
    if proofs.uid is not None and mark is not None:
        return Standing.OURS if proven or mark == proofs.uid else Standing.OTHERS
    return Standing.OURS if proven else Standing.DOUBTFUL


def _of_balancer(proofs: _Proofs, balancer: LoadBalancer) -> Standing:
    """Judge a load balancer: in a network of several clusters only its targets tell whose it is."""
    targets = balancer.servers & proofs.listed
    attached = proofs.network is not None and proofs.network in balancer.private_ips
    if targets - proofs.ours or naming.LABEL_SERVICE_UID not in balancer.labels:
        near = targets & proofs.ours or (attached and not targets)
        return Standing.BY_HAND if near else Standing.OTHERS
    marked = proofs.uid is not None and balancer.labels.get(naming.LABEL_GOES_WITH) == proofs.uid
    proven = targets or marked or (attached and proofs.network_is_ours)
    return Standing.OURS if proven else Standing.DOUBTFUL


def predict(state: ClusterState, step: Step) -> ClusterState:
    """Return what is marked after a step."""
    if not isinstance(step, MarkForDeletion):
        return state
    view, found = state.view, state.view.belongings
    return state.with_view(
        replace(
            view,
            load_balancers=tuple(_marked(b, step, "load_balancer") for b in view.load_balancers),
            belongings=found and replace(found, volumes=tuple(_marked(v, step, "volume") for v in found.volumes)),
        )
    )


def _marked(resource: _Kept, step: MarkForDeletion, kind: str) -> _Kept:
    if (kind, resource.id) != (step.kind, step.resource_id):
        return resource
    return replace(resource, labels={**resource.labels, naming.LABEL_GOES_WITH: step.uid})
