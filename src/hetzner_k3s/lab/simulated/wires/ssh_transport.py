"""`ports.Hosts` on simulated hosts: who answers by which key, and what becomes of an operation when it is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.hosts import refusal
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.refusal import OperationRefused
from hetzner_k3s.lab.simulated.hosts.ssh import Ssh
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.lab.simulated.operations import host_operations, snapshots, user_commands
from hetzner_k3s.lab.simulated.site import Site
from hetzner_k3s.lab.simulated.wires.forwards import Forwards
from hetzner_k3s.model.errors import (
    Fate,
    HostBusy,
    HostUnreachable,
    LockLost,
    OperationFailed,
    PreconditionChanged,
    ProductError,
    SshStage,
)
from hetzner_k3s.model.host import HostFacts, HostKeyKind, OperationRecord
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.hosts.origin import Introduction, ReadOrigin
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot
from hetzner_k3s.ports import Heard

R = TypeVar("R")

_CONNECT_SECONDS: Final = 5.0
_BUSY_SECONDS: Final = 60.0
_SETTLE_SECONDS: Final = 60.0
_TRIP: Final = (0.01, 0.05)


class Cut(Exception):
    """The connection broke."""


class SimulatedHosts:
    """Verified SSH from one operator's machine.

    Args:
        site: where the hosts stand.
        moments: of the run.
        chance: draws latencies and operation ids.
        address: where that machine's packets come from.
    """

    def __init__(self, site: Site[Host], moments: Moments, chance: Chance, address: str) -> None:
        self._site, self._moments, self._chance, self._address = site, moments, chance, address
        self.writes: list[str] = []
        """Every mutating operation of this run."""
        self.forwards = Forwards()

    async def perform(self, target: HostTarget, operation: Operation[R]) -> R:
        """Run one host operation; see `ports.Hosts.perform` for what it raises."""
        self._moments.check()
        name = type(operation).__name__
        if not operation.mutating:
            host, key = await self._connect(target, operation)
            return cast(R, await self._read(host, key, target, operation))
        self.writes.append(f"{name} on {target.name}")
        self._moments.pass_by(f"before {name} on {target.name}")
        result = await self._effect(target, operation)
        self._moments.pass_by(f"after {name} on {target.name}")
        return cast(R, result)

    async def introduce(self, target: HostTarget) -> Introduction:
        """Look at a host that nobody vouches for, and tell by which key it answered."""
        self._moments.check()
        asked = ReadOrigin()  # of all operations the one that a stranger may be asked
        host, _ = await self._connect(target, asked)
        shown = host.disk.host_key
        facts = await self._read(host, HostKeyKind.BOOT, target, Probe())
        return Introduction(key=shown, facts=facts)

    async def stream(self, target: HostTarget, operation: Operation[Done]) -> AsyncIterator[bytes]:
        """Run a reading operation and give what it prints, in two pieces."""
        self._moments.check()
        host, key = await self._connect(target, operation)
        printed: bytes = await self._read(host, key, target, operation)
        for piece in (printed[:100], printed[100:]):
            self._moments.check()
            yield piece

    async def send(self, target: HostTarget, operation: ReceiveSnapshot, pieces: AsyncIterator[bytes]) -> None:
        """Run an operation whose stdin is a file."""
        name = type(operation).__name__
        self.writes.append(f"{name} on {target.name}")
        self._moments.pass_by(f"before {name} on {target.name}")
        host, _ = await self._connect(target, operation)
        content = b"".join([piece async for piece in pieces])
        self._moments.pass_by(f"during {name} on {target.name}")
        try:
            await unless_cut(host.ssh, host.spawn(snapshots.receive_snapshot(host, operation, content)))
        except Cut as cut:
            raise _unreachable(target, SshStage.SESSION, "connection lost") from cut
        except OperationRefused as refused:
            raise _error(operation, target, refused) from refused
        self._moments.pass_by(f"after {name} on {target.name}")

    async def run(self, target: HostTarget, command: RunCommand, heard: Heard) -> int:
        """Run a command of the user's; see `ports.Hosts.run`."""
        host, _ = await self._connect(target, command)
        work = host.spawn(user_commands.run(host, command, heard))
        try:
            async with asyncio.timeout(command.deadline):
                return await unless_cut(host.ssh, work)
        except Cut as cut:
            raise _unreachable(target, SshStage.SESSION, "connection lost", fate=Fate.MAY_HAVE_HAPPENED) from cut
        except TimeoutError:
            late = refusal.failed(f"it did not end within {command.deadline:.0f} s, and was ended")
            raise _error(command, target, late) from None
        finally:
            work.cancel()

    async def host_key(self, target: HostTarget) -> str:
        """Fail: no other SSH client can reach a simulated host."""
        host, _ = await self._connect(target, Operation())
        raise OperationFailed(
            f"{host.name}: it is simulated, and has no shell for a terminal; give a command: ssh NAME -- hostname",
            server=host.name,
            operation="host_key",
            fate=Fate.DID_NOT_HAPPEN,
        )

    async def forward(self, target: HostTarget, _port: int) -> int:
        """Return a port here that leads to the API there, over a verified connection with the host's final key."""
        host, _ = await self._connect(target, Operation())
        return self.forwards.to(host)

    async def close(self) -> None:
        """Drop all connections."""

    def _passes(self, host: Host, target: HostTarget) -> bool:
        return host.lets_in(target.address, target.port, self._address)

    async def _connect(self, target: HostTarget, operation: Operation[Any]) -> tuple[Host, HostKeyKind]:
        await asyncio.sleep(self._chance.uniform(*_TRIP))
        self._moments.check()
        host = self._site.host_at(target.address)
        if host is None or not host.awake or host.ssh.silent or not self._passes(host, target):
            await asyncio.sleep(_CONNECT_SECONDS)
            raise _unreachable(target, SshStage.TCP, "no answer: timed out")
        if not host.ssh_up or target.port != host.ssh_port:
            raise _unreachable(target, SshStage.TCP, "no answer: connection refused")
        key = target.keys.get(host.disk.host_key)
        if operation.unverified and not target.keys:
            key = HostKeyKind.BOOT
        if key is None:
            raise _unreachable(target, SshStage.HOST_KEY, "it answers with a host key that its labels do not name")
        if host.ssh.denied:
            raise _unreachable(target, SshStage.AUTH, "it refuses our SSH key for root")
        if key is HostKeyKind.BOOT and not operation.boot_key_suffices:
            raise _unreachable(target, SshStage.HOST_KEY, "it answers with its boot host key, which is no secret")
        return host, key

    async def _read(self, host: Host, key: HostKeyKind, target: HostTarget, operation: Operation[Any]) -> Any:
        work = host.spawn(host_operations.carry_out(host, operation, key))
        try:
            answer = await unless_cut(host.ssh, work)
            if host.ssh.garbled:
                raise refusal.failed("unreadable answer: it is no JSON: '\\x1b]0;owned'")
            return replace(answer, seen_from=self._address) if isinstance(answer, HostFacts) else answer
        except Cut as cut:
            work.cancel()
            raise _unreachable(target, SshStage.SESSION, "connection lost") from cut
        except OperationRefused as refused:
            raise _error(operation, target, refused) from refused
        except asyncio.CancelledError:
            work.cancel()
            raise

    async def _effect(self, target: HostTarget, operation: Operation[Any]) -> Any:
        host, key = await self._connect(target, operation)
        number = self._chance.token_hex(8)
        try:
            await self._unless_busy(host, target)
            work = _launch(host, operation, key, number)
            self._moments.pass_by(f"during {type(operation).__name__} on {target.name}")
            return await unless_cut(host.ssh, work)
        except Cut:
            return await self._settle(target, operation, host, number)
        except OperationRefused as refused:
            raise _error(operation, target, refused) from refused

    async def _unless_busy(self, host: Host, target: HostTarget) -> None:
        """Wait for the operation that a killed run began: a host runs one at a time."""
        ends = self._site.now() + _BUSY_SECONDS
        while (other := host.operation) is not None and not other.done():
            if self._site.now() >= ends:
                raise HostBusy(f"{target.name}: another operation runs on this host", server=target.name)
            await asyncio.wait([other], timeout=ends - self._site.now())
        if not host.awake:
            raise Cut

    async def _settle(self, target: HostTarget, operation: Operation[Any], host: Host, number: str) -> Any:
        """Ask the host, over a new connection, how an operation ended that outlived the old one."""
        try:
            await self._connect(target, operation)
        except HostUnreachable as failure:
            what = f"connection lost during {type(operation).__name__}, and its outcome could not be asked: {failure}"
            raise _unreachable(target, SshStage.SESSION, what, fate=Fate.MAY_HAVE_HAPPENED) from failure
        last, work = host.disk.operation, host.operation
        try:
            if last is None or last.id != number:
                raise OperationRefused(refusal.NEVER_RAN, "the operation did not reach this host")
            if work is None or work.cancelled():
                raise refusal.failed("the operation ended without a result")
            async with asyncio.timeout(_SETTLE_SECONDS):
                return await asyncio.shield(work)
        except TimeoutError:
            raise _error(operation, target, refusal.failed("the operation still runs")) from None
        except OperationRefused as refused:
            raise _error(operation, target, refused) from refused


def _launch(host: Host, operation: Operation[Any], key: HostKeyKind, number: str) -> asyncio.Task[Any]:
    """Start a mutating operation as the host's one transient unit, unless a newer run was seen there."""
    fence = int(getattr(operation, "fence", 0))
    if fence < host.disk.fence:
        raise OperationRefused(refusal.FENCED, f"a newer run (lock {host.disk.fence}) works on this cluster")
    host.disk.fence = fence
    name = type(operation).__name__
    host.disk.operation = OperationRecord(id=number, name=name, running=True, fence=fence)
    host.operation = work = host.spawn(_transient(host, host_operations.carry_out(host, operation, key)))
    return work


async def _transient(host: Host, work: Coroutine[Any, Any, R]) -> R:
    try:
        return await work
    finally:
        host.disk.note_operation(running=False)


async def unless_cut(ssh: Ssh, work: asyncio.Future[R]) -> R:
    """Wait for work on a host as long as the connection lives."""
    cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ssh.cuts[cut] = None
    try:
        await asyncio.wait((work, cut), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ssh.cuts.pop(cut, None)
    if not work.done() or work.cancelled():
        raise Cut
    return work.result()


def _error(operation: Operation[Any], target: HostTarget, refused: OperationRefused) -> ProductError:
    name = type(operation).__name__
    match refused.kind:
        case refusal.PRECONDITION_CHANGED:
            return PreconditionChanged(f"{target.name}: {refused}", server=target.name)
        case refusal.FENCED:
            return LockLost(f"{target.name}: {refused}")
    began = operation.mutating and refused.kind != refusal.NEVER_RAN
    return OperationFailed(
        f"{target.name}: {name} failed: {refused}",
        server=target.name,
        operation=name,
        fate=Fate.MAY_HAVE_HAPPENED if began else Fate.DID_NOT_HAPPEN,
    )


def _unreachable(
    target: HostTarget, stage: SshStage, what: str, *, fate: Fate = Fate.DID_NOT_HAPPEN
) -> HostUnreachable:
    message = f"{target.name} ({target.address}:{target.port}): {what}"
    return HostUnreachable(message, server=target.name, stage=stage, fate=fate, why=what)
