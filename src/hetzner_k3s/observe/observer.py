"""Joins the readings of cloud, hosts and Kubernetes into one `ClusterState`; all reads of a kind run at once.

A read that fails is `Unknown`, never an exception; only refused credentials end the run, because without them there
is nothing to look at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView
from hetzner_k3s.model.facts import Known, Reading
from hetzner_k3s.model.host import HostKeyKind, HostReading
from hetzner_k3s.model.identity import Phase, RecordConflict
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import Verb
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe import cloud, hosts, kube, origins, snapshots, volumes
from hetzner_k3s.ports import Ports


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    """What to look at again: the listing, or of it the servers alone; these hosts (ids; None is all); Kubernetes.

    With `belongings` the listing is one with what servers use; one that had that keeps it.
    """

    listing: bool = True
    servers: bool = False
    hosts: frozenset[int] | None = None
    kube: bool = True
    belongings: bool = False


EVERYTHING = Focus()
DELETION = Focus(hosts=frozenset(), kube=False, belongings=True)
_A_MOMENT = 30.0
"""Seconds for which a listing of the networks, firewalls, balancers and keys is good enough for a run to begin on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a verb has to see.

    Args:
        whole: is looked at when everything is looked at.
        assortment: whether what Hetzner sells, and which k3s there is, is read.
    """

    whole: Focus
    assortment: bool


SIGHT: Mapping[Verb, Sight] = {
    Verb.CREATE: Sight(whole=EVERYTHING, assortment=True),
    Verb.DELETE: Sight(whole=DELETION, assortment=False),
}


async def observe(ports: Ports, spec: ClusterSpec, verb: Verb) -> ClusterState:
    """Look at everything that the verb needs.

    Raises:
        CloudRefused: Hetzner does not accept the token.
    """
    whole = SIGHT[verb].whole
    listed = await (cloud.survey_whole(ports) if whole.belongings else cloud.survey(ports))
    blank = ClusterState(observed_at=ports.clock.now(), cloud=listed)
    state = await observe_again(ports, spec, blank, replace(whole, listing=False))
    return replace(state, named_volumes=await volumes.named(ports, spec, state))


async def observe_hosts(
    ports: Ports, spec: ClusterSpec, wanted: Callable[[ClusterState], Collection[str]]
) -> ClusterState:
    """Look at the servers, and at some of their hosts alone.

    Args:
        wanted: names the servers, out of a look at none of the hosts.

    Raises:
        CloudRefused: Hetzner does not accept the token.
    """
    blank = ClusterState(observed_at=ports.clock.now(), cloud=await cloud.survey(ports))
    names = wanted(blank)
    among = [server for server in hosts.reachable(spec, blank.view) if server.name in names]
    return replace(blank, hosts=await hosts.probe(ports, spec, blank, among))


async def observe_masters(ports: Ports, spec: ClusterSpec) -> ClusterState:
    """Look at the masters, and through them at Kubernetes, and at no other host.

    Raises:
        CloudRefused: Hetzner does not accept the token.
    """
    blank = ClusterState(observed_at=ports.clock.now(), cloud=await cloud.survey(ports))
    masters = frozenset(server.id for server in blank.view.servers if server.name in spec.master_names)
    return await observe_again(ports, spec, blank, Focus(listing=False, hosts=masters))


async def observe_under_lock(
    ports: Ports, spec: ClusterSpec, verb: Verb, before: ClusterState, listed_at: float
) -> ClusterState:
    """Look once more with the lock held: another run may have ended between the look before and the lock.

    Args:
        before: the look that was shown; one of a moment ago is brought up to date, with two requests instead of six.
        listed_at: when it began (seconds, monotonic).

    Raises:
        CloudRefused: Hetzner does not accept the token.
    """
    if ports.clock.monotonic() - listed_at > _A_MOMENT:
        return _with_assortment_of(before, await observe(ports, spec, verb))
    state = replace(before, observed_at=ports.clock.now(), cloud=await cloud.survey_again(ports, before.cloud))
    return await observe_again(ports, spec, state, replace(SIGHT[verb].whole, listing=False))


async def with_assortment(
    ports: Ports,
    spec: ClusterSpec,
    state: ClusterState,
    before: ClusterState | None = None,
    *,
    exchanging: bool = False,
) -> ClusterState:
    """Read what Hetzner sells, and which k3s there is: once a run and only where a server of the file is missing.

    Args:
        exchanging: whether servers or their k3s may become others: then both are read though nothing is missing.
        before: an earlier look of this run, which may have read it.
    """
    if before is not None and before.assortment is not None:
        return _with_assortment_of(before, state)
    listed = {server.name for server in state.view.servers}
    complete = all(server.name in listed for server in spec.servers())
    if not isinstance(state.cloud, Known) or (complete and not exchanging):
        return state
    sold, releases = await asyncio.gather(cloud.assortment(ports, spec), cloud.releases(ports))
    return replace(state, assortment=sold, releases=releases)


def _with_assortment_of(before: ClusterState, state: ClusterState) -> ClusterState:
    """Return a look with what an earlier one of the same run read of catalogues."""
    return replace(state, assortment=before.assortment, releases=before.releases)


async def observe_again(ports: Ports, spec: ClusterSpec, state: ClusterState, focus: Focus) -> ClusterState:
    """Look at a part again and keep the rest."""
    listing = await _listing(ports, state, focus)
    state = replace(state, observed_at=ports.clock.now(), cloud=listing, local=ports.local.evidence())
    wanted = [s for s in hosts.reachable(spec, state.view) if focus.hosts is None or s.id in focus.hosts]
    state = replace(state, hosts=_living({**state.hosts, **await hosts.probe(ports, spec, state, wanted)}, spec, state))
    state = replace(state, origins=await origins.look(ports, spec, state) if focus != DELETION else {})
    state = replace(state, strangers=await origins.introduce(ports, spec, state) if focus != DELETION else {})
    state = replace(state, rebuilds=await cloud.rebuilds(ports, _with_boot_key(state)))
    if not focus.kube:
        return state
    state = replace(state, kube=await kube.read(ports, spec, state))
    state = replace(state, grants=await cloud.grants(ports, spec, state))
    state = replace(state, snapshots=await snapshots.look(ports, spec, state))
    state = replace(state, on_hosts=await snapshots.on_hosts(ports, spec, state))
    return replace(state, lookups=await cloud.look_up(ports, _recorded(spec, state), state.lookups))


async def _listing(ports: Ports, state: ClusterState, focus: Focus) -> Reading[CloudView]:
    if focus.listing and (focus.belongings or state.view.belongings is not None):
        return await cloud.survey_whole(ports)
    if focus.listing:
        return await cloud.survey(ports)
    return await cloud.servers_of(ports, state.cloud) if focus.servers else state.cloud


def _living(readings: Mapping[int, HostReading], spec: ClusterSpec, state: ClusterState) -> dict[int, HostReading]:
    """Forget what hosts told whose servers are gone or no longer run.

    A master that was powered off in the middle of a run would else go on voting for the member list it last served.
    """
    living = {server.id for server in hosts.reachable(spec, state.view)}
    return {server_id: reading for server_id, reading in readings.items() if server_id in living}


def _with_boot_key(state: ClusterState) -> frozenset[int]:
    """Return the members that answer with the key of their first boot: only a rebuild explains that."""
    members = {s.id for s in state.view.servers if naming.LABEL_STATE in s.labels}
    seen = ((number, state.facts(number)) for number in members)
    return frozenset(number for number, facts in seen if facts is not None and facts.key is HostKeyKind.BOOT)


def _recorded(spec: ClusterSpec, state: ClusterState) -> frozenset[int]:
    """Return the server ids that Nodes, or a birth, record and the listing does not show.

    Their absence needs another proof than a listing.
    """
    listed = {s.id for s in state.view.servers}
    views: list[Reading[KubeView]] = list(state.kube.values())
    machines = {n.machine for v in views if isinstance(v, Known) for n in v.value.nodes if n.machine is not None}
    return frozenset((machines | _recorded_seed(spec, state)) - listed)


def _recorded_seed(spec: ClusterSpec, state: ClusterState) -> set[int]:
    """Return the seed of an unfinished birth, or of a cluster whose API tells nothing of its machines."""
    record = lookup.birth_record(spec, state.view)
    if isinstance(record, RecordConflict):
        return set()
    if record.phase is Phase.BOOTSTRAPPING:
        return set(lookup.recorded_seeds(spec, state.view))
    told = record.phase is Phase.BORN and any(isinstance(v, Known) for v in state.kube.values())
    return set() if told or record.seed is None else {record.seed}
