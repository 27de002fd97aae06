"""Ports that note what is asked of them, round those that do it. What is sent is never noted, only what it was for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar, cast

from hetzner_k3s.cli.recording.recorder import Recorder
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot
from hetzner_k3s.ports import Clock, Heard, Hosts, Kube, Local, Objects, Ports

R = TypeVar("R")

_DONE: Final = "done"


def recorded(ports: Ports, recorder: Recorder) -> Ports:
    """Return ports that note their use.

    Hetzner's requests are noted where each is sent, and hosts are `RecordedHosts` already: other ports use them too.
    """
    clock = ports.clock
    return replace(
        ports,
        kube=cast(Kube, _Recorded(ports.kube, "kube", recorder, clock)),
        objects=None if ports.objects is None else cast(Objects, _Recorded(ports.objects, "s3", recorder, clock)),
        local=cast(Local, _RecordedLocal(ports.local, recorder)),
        transcript=recorder,
    )


@contextmanager
def _noted(recorder: Recorder, clock: Clock, event: str, **what: str) -> Iterator[None]:
    """Note a call that lasts as long as a block, and how it ended."""
    began = clock.monotonic()
    named = {key: text for key, text in what.items() if text}
    try:
        yield
    except BaseException as failure:
        recorder.call(event, began, **named, **_outcome(failure))
        raise
    recorder.call(event, began, **named, outcome=_DONE)


def _outcome(failure: BaseException) -> dict[str, str]:
    if isinstance(failure, asyncio.CancelledError | GeneratorExit):
        return {"outcome": "cancelled"}
    return {"outcome": type(failure).__name__, "message": str(failure)}


class _Recorded:
    """A port all of whose calls are noted by their name, the host they go to, and the name of what they are about."""

    def __init__(self, port: object, event: str, recorder: Recorder, clock: Clock) -> None:
        self._port, self._event, self._recorder, self._clock = port, event, recorder, clock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if not iscoroutinefunction(method):
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            with _noted(self._recorder, self._clock, self._event, call=name, **_about(arguments, named)):
                return await method(*arguments, **named)

        return call


def _about(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, str]:
    """Return the host and the name among a call's arguments; the others may hold what nobody else should read."""
    master = next((one for one in (*arguments, *named.values()) if isinstance(one, HostTarget)), None)
    subject = arguments[1] if master is not None and len(arguments) > 1 else named.get("name", named.get("node"))
    return {"server": master.name if master else "", "subject": subject if isinstance(subject, str) else ""}


class _RecordedLocal:
    """This machine, whose journal's lines are noted as well."""

    def __init__(self, local: Local, recorder: Recorder) -> None:
        self._local, self._recorder = local, recorder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._local, name)

    def record(self, event: str, detail: Mapping[str, str]) -> None:
        """Append a line to the run journal, and note it."""
        self._recorder.journal(event, detail)
        self._local.record(event, detail)


class RecordedHosts:
    """`ports.Hosts` that notes each operation: on which host, its name, how long it took, how it ended."""

    def __init__(self, hosts: Hosts, recorder: Recorder, clock: Clock) -> None:
        self._hosts, self._recorder, self._clock = hosts, recorder, clock

    async def perform(self, target: HostTarget, operation: Operation[R]) -> R:
        """Run one host operation."""
        with self._noted(target, operation):
            return await self._hosts.perform(target, operation)

    async def introduce(self, target: HostTarget) -> Introduction:
        """Look at a host that nobody vouches for."""
        with self._noted(target, Probe()):
            return await self._hosts.introduce(target)

    async def stream(self, target: HostTarget, operation: Operation[Done]) -> AsyncIterator[bytes]:
        """Run a reading operation and give what it prints as it comes."""
        pieces = self._hosts.stream(target, operation)
        with self._noted(target, operation):
            try:
                async for piece in pieces:
                    yield piece
            finally:  # whoever stops reading ends the operation, as without us
                if (close := getattr(pieces, "aclose", None)) is not None:
                    await close()

    async def send(self, target: HostTarget, operation: ReceiveSnapshot, pieces: AsyncIterator[bytes]) -> None:
        """Run an operation whose stdin is a file."""
        with self._noted(target, operation):
            await self._hosts.send(target, operation, pieces)

    async def run(self, target: HostTarget, command: RunCommand, heard: Heard) -> int:
        """Run a command of the user's; neither it nor what it prints is noted."""
        with self._noted(target, command):
            return await self._hosts.run(target, command, heard)

    async def host_key(self, target: HostTarget) -> str:
        """Return the public key by which a host proved itself."""
        return await self._hosts.host_key(target)

    async def close(self) -> None:
        """Drop all connections."""
        await self._hosts.close()

    @contextmanager
    def _noted(self, target: HostTarget, operation: Operation[Any]) -> Iterator[None]:
        call = type(operation).__name__
        with _noted(self._recorder, self._clock, "ssh", server=target.name, call=call):
            yield
