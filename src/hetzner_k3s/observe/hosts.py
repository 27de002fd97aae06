"""Probes hosts: one SSH round trip each, all at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import CloudView, Server, ServerStatus
from hetzner_k3s.model.errors import HostError, HostUnreachable, OperationFailed, SshStage, UnusableKey
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, HostReading, LogPosition, Unreachable
from hetzner_k3s.model.hosts.contact import HostTarget, InternalIps, host_target
from hetzner_k3s.model.operations.disaster import ReadLog, ReadStoredUid
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.ports import Ports


def reachable(spec: ClusterSpec, view: CloudView) -> tuple[Server, ...]:
    """Return the servers that carry the cluster's label and run: nobody else's host is ever spoken to."""
    return tuple(s for s in lookup.owned_servers(spec.name, view) if s.status is ServerStatus.RUNNING)


async def probe(
    ports: Ports, spec: ClusterSpec, state: ClusterState, servers: Sequence[Server]
) -> dict[int, HostReading]:
    """Look at hosts; one that cannot be looked at keeps the second of its first silence."""
    internal_ips = lookup.internal_ips(spec, state.view)
    readings = await asyncio.gather(*(_look(ports, spec, internal_ips, server, state) for server in servers))
    return {server.id: reading for server, reading in zip(servers, readings, strict=True)}


async def _look(
    ports: Ports, spec: ClusterSpec, internal_ips: InternalIps, server: Server, state: ClusterState
) -> HostReading:
    target = host_target(spec, server, internal_ips)
    if target is None:
        return Unreachable(SshStage.TCP, "it has no address yet", ports.clock.now())
    before = state.hosts.get(server.id)
    since = before.since if isinstance(before, Unreachable) else ports.clock.now()
    asked = ports.clock.now()
    try:
        facts = _timed(await ports.hosts.perform(target, Probe()), asked, ports.clock.now())
        if not (facts.held and facts.disk.wal):
            return Known(facts)
        if isinstance(before, Known) and before.value.held and before.value.log is not None:
            return Known(replace(facts, log=before.value.log, stored_uid=before.value.stored_uid))
        log, uid = await asyncio.gather(_log(ports, target), _stored_uid(ports, target))
        return Known(replace(facts, log=log, stored_uid=uid))
    except HostUnreachable as error:
        return Unreachable(error.stage, error.why, since)
    except UnusableKey as error:
        return Unreachable(SshStage.AUTH, str(error), since)
    except OperationFailed as error:
        what = str(error).removeprefix(f"{server.name}: ")
        return Unreachable(SshStage.ANSWER, f"it lets this machine in, but {what}", since)
    except HostError as error:
        return Unreachable(SshStage.SESSION, str(error), since)


def _timed(facts: HostFacts, asked: float, answered: float) -> HostFacts:
    """Return how far a host's clock is off: it was read at some moment between question and answer."""
    early, late = facts.clock - asked, facts.clock - answered
    return replace(facts, ahead=min(early, 0.0) + max(late, 0.0))


async def _log(ports: Ports, target: HostTarget) -> LogPosition | None:
    """Read how far a held host's etcd log goes; the file begun last may hold no entry yet. None where it is unreadable.

    It is read for a host that is stopped and masked alone: it grows no more, and nobody else ever waits for it.
    """
    try:
        return await ports.hosts.perform(target, ReadLog(1)) or await ports.hosts.perform(target, ReadLog(2))
    except OperationFailed:
        return None


async def _stored_uid(ports: Ports, target: HostTarget) -> str | None:
    """Read whose cluster's data a held host has; None where it cannot be read."""
    try:
        return await ports.hosts.perform(target, ReadStoredUid())
    except OperationFailed:
        return None
