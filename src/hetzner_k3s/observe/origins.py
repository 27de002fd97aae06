"""Looks at servers that this tool did not make: they may be a living cluster of hetzner-k3s 2.x."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import HostError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hosts.contact import host_target
from hetzner_k3s.model.hosts.origin import Introduction, Origin, ReadOrigin
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe.hosts import reachable
from hetzner_k3s.ports import Ports

_OURS = (naming.LABEL_BOOT_KEY, naming.LABEL_HOST_KEY, naming.LABEL_HOST_KEY_NEXT)


async def look(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[int, Reading[Origin]]:
    """Return how k3s was installed on each master without a host key of ours, while no birth is recorded.

    Nobody vouches for such a host, so it is asked one question that carries no secret; its answer is only named. A
    master whose key was recorded by an adoption that was cut off is asked by that key.
    """
    if not _is_unrecorded(spec, state):
        return {}
    wanted = [s for s in _strangers(spec, state) if s.labels.get(naming.LABEL_ROLE) == naming.ROLE_MASTER]
    readings = await asyncio.gather(*(_ask(ports, spec, state, server) for server in wanted))
    return {server.id: reading for server, reading in zip(wanted, readings, strict=True)}


async def introduce(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[int, Reading[Introduction]]:
    """Return what each host without a host key of ours tells, where it is one of a cluster of 2.x.

    That is so where a master was made by 2.x, or where the cluster was adopted and this host was silent then.
    """
    if not (is_adopted(spec, state) or any(isinstance(o, Known) and o.value.by_2x for o in state.origins.values())):
        return {}
    wanted = _strangers(spec, state)
    readings = await asyncio.gather(*(_meet(ports, spec, state, server) for server in wanted))
    return {server.id: reading for server, reading in zip(wanted, readings, strict=True)}


def is_adopted(spec: ClusterSpec, state: ClusterState) -> bool:
    """Check whether the cluster was made by hetzner-k3s 2.x and adopted."""
    record = lookup.birth_record(spec, state.view)
    return isinstance(record, BirthRecord) and record.phase is Phase.BORN and record.adopted is not None


def _is_unrecorded(spec: ClusterSpec, state: ClusterState) -> bool:
    """Check whether nothing is recorded of a cluster; the day stands on its servers before anything else does."""
    record = lookup.birth_record(spec, state.view)
    return isinstance(record, BirthRecord) and replace(record, adopted=None) == BirthRecord()


def _strangers(spec: ClusterSpec, state: ClusterState) -> list[Server]:
    """Return the servers of the cluster without a host key of ours, and while it is not recorded those adopted so far.

    An adoption that was cut off left keys behind before anything else said whose they are.
    """
    begun = not is_adopted(spec, state)
    return [s for s in reachable(spec, state.view) if _is_stranger(s) or (begun and naming.LABEL_ADOPTED in s.labels)]


def _is_stranger(server: Server) -> bool:
    return not any(label in server.labels for label in _OURS)


async def _ask(ports: Ports, spec: ClusterSpec, state: ClusterState, server: Server) -> Reading[Origin]:
    before = state.origins.get(server.id)
    if isinstance(before, Known):
        return before
    target = host_target(spec, server, lookup.internal_ips(spec, state.view))
    if target is None:
        return Unknown("it has no address yet", ports.clock.now())
    try:
        return Known(await ports.hosts.perform(target, ReadOrigin()))
    except HostError as error:
        return Unknown(str(error), ports.clock.now())


async def _meet(ports: Ports, spec: ClusterSpec, state: ClusterState, server: Server) -> Reading[Introduction]:
    target = host_target(spec, server, lookup.internal_ips(spec, state.view))
    if target is None:
        return Unknown("it has no address yet", ports.clock.now())
    try:
        met = await ports.hosts.introduce(target)
    except HostError as error:
        return Unknown(str(error), ports.clock.now())
    return Known(replace(met, known=ports.local.known_hosts(target.address, target.port)))
