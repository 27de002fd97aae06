"""Looks for snapshots in S3 and on hosts, where something depends on them: a birth, or the loss of all masters.

A listing that failed is `Unknown`, never empty: a birth beside snapshots of ours would hide that data is lost.
"""

from __future__ import annotations

import asyncio

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import HostError, StorageError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.contact import host_target
from hetzner_k3s.model.operations.snapshots import TellSnapshots
from hetzner_k3s.model.snapshots import SnapshotFile, StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec, S3Spec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.ports import Objects, Ports

_TELLING = 60.0
"""Seconds that a host may read its snapshots."""

_Told = Reading[tuple[SnapshotFile, ...]]


async def look(ports: Ports, spec: ClusterSpec, state: ClusterState) -> Reading[tuple[StoredSnapshot, ...]] | None:
    """List what lies in S3 unless a master answers as a voter; a listing that succeeded is kept for the whole run."""
    if isinstance(state.snapshots, Known) or _a_voter_answers(spec, state):
        return state.snapshots
    return await read(ports, spec)


async def read(ports: Ports, spec: ClusterSpec) -> Reading[tuple[StoredSnapshot, ...]] | None:
    """List what lies in S3; None where the file names no S3."""
    if ports.objects is None or spec.etcd.s3 is None:
        return None
    try:
        return Known(await _list(ports.objects, spec.etcd.s3))
    except StorageError as error:
        return Unknown(str(error), ports.clock.now())


async def _list(objects: Objects, s3: S3Spec) -> tuple[StoredSnapshot, ...]:
    """List our folder, and the bucket's root where 2.6 would have written to that."""
    found = [*await objects.snapshots(s3.folder)]
    if s3.shared_root:
        found += await objects.snapshots("")
    return tuple(found)


async def on_hosts(ports: Ports, spec: ClusterSpec, state: ClusterState) -> dict[int, _Told]:
    """Read whose the snapshots of hosts without data are, unless a master answers as a voter.

    Reading them takes seconds, so what was told stands as long as the host has the same files.
    """
    if _a_voter_answers(spec, state):
        return {}
    servers = [s for s in lookup.owned_masters(spec.name, state.view) if _has_only_snapshots(state.facts(s.id))]
    told = await asyncio.gather(*(_tell(ports, spec, state, server) for server in servers))
    return {server.id: reading for server, reading in zip(servers, told, strict=True)}


def _has_only_snapshots(facts: HostFacts | None) -> bool:
    return facts is not None and bool(facts.snapshots) and (facts.restoring or not facts.disk.wal)


async def _tell(ports: Ports, spec: ClusterSpec, state: ClusterState, server: Server) -> _Told:
    facts, before = state.facts(server.id), state.on_hosts.get(server.id)
    there = {(s.name, s.size) for s in facts.snapshots} if facts else set()
    if isinstance(before, Known) and {(s.name, s.size) for s in before.value} == there:
        return before
    target = host_target(spec, server, lookup.internal_ips(spec, state.view))
    if target is None or (facts is not None and facts.key is HostKeyKind.BOOT):
        return Unknown("it cannot be asked yet", ports.clock.now())
    try:
        return Known(await ports.hosts.perform(target, TellSnapshots(deadline=_TELLING)))
    except HostError as error:
        return Unknown(str(error), ports.clock.now())


def _a_voter_answers(spec: ClusterSpec, state: ClusterState) -> bool:
    seen = (state.facts(server.id) for server in lookup.owned_masters(spec.name, state.view))
    return any(facts is not None and facts.voter for facts in seen)
