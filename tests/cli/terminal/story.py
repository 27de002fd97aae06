"""The story of a run for the display: a way that was shown, and what became of it at which second."""

from __future__ import annotations

import os
import pty
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from io import StringIO

from hetzner_k3s.cli.render.live.display import LiveReporter
from hetzner_k3s.lab.simulated.virtual_time import LoopClock, run
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.plan import Forecast, PlannedStep, Purchase, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.steps import (
    CreateServer,
    EnsureNetwork,
    InitControlPlane,
    InstallK3s,
    JoinControlPlane,
    JoinWorker,
    SecureHost,
    Step,
)

from .emulator import Emulator, set_size


class Kept(StringIO):
    """What is written to a terminal of some size, kept as it is."""

    encoding = "utf-8"

    def __init__(self, handle: int) -> None:
        super().__init__()
        self._handle = handle

    def fileno(self) -> int:
        """Return the terminal: it is asked for its size only."""
        return self._handle

    def isatty(self) -> bool:
        """Claim to be one."""
        return True


class Way:
    """The steps of a creation, by what they do to whom."""

    def __init__(self, spec: ClusterSpec) -> None:
        masters, workers = spec.master_names, [worker.name for worker in spec.workers()]
        servers = [*masters, *workers]
        self.network = planned(
            EnsureNetwork(target=spec.name, ip_range="10.0.0.0/16", zone="eu-central", labels={}), Scope.INFRASTRUCTURE
        )
        self.order = {name: planned(_order(name), _scope(name)) for name in servers}
        self.secure = {name: planned(SecureHost(target=name, server_id=1), _scope(name)) for name in servers}
        self.install = {
            name: planned(InstallK3s(target=name, server_id=1, role=K3sRole.SERVER, version="v1.36.3"), _scope(name))
            for name in servers
        }
        self.init = planned(InitControlPlane(target=masters[0], server_id=1), Scope.CONTROL_PLANE)
        self.join = {name: planned(_join_master(name)) for name in masters[1:]}
        self.join |= {name: planned(_join_worker(name), Scope.WORKER) for name in workers}

    @property
    def forecast(self) -> Forecast:
        """Return the whole way."""
        waves = (self.order, self.secure, self.install)
        early = ((self.network,), *(tuple(wave.values()) for wave in waves))
        return Forecast(
            waves=(*early, (self.init,), tuple(self.join.values())),
            waits=(),
            refusals=(),
            notes=(),
            purchase=Purchase(created=len(self.order)),
        )


def planned(step: Step, scope: Scope = Scope.CONTROL_PLANE) -> PlannedStep:
    """Plan a step of the story."""
    return PlannedStep(step=step, scope=scope, reason=Reason.MISSING, because="the file asks for it")


def _order(name: str) -> CreateServer:
    return CreateServer(target=name, server_type="cpx22", image="debian-13", location="fsn1", placement_group=None)


def _join_master(name: str) -> JoinControlPlane:
    return JoinControlPlane(target=name, server_id=1, via=1, server_url="u")


def _join_worker(name: str) -> JoinWorker:
    return JoinWorker(target=name, server_id=1, via=1, server_url="u")


def _scope(name: str) -> Scope:
    return Scope.CONTROL_PLANE if "-master" in name else Scope.WORKER


class Film:
    """Plays a story on a terminal, and keeps what a person would see."""

    def __init__(self, reporter: LiveReporter, stream: Kept, handle: int, emulator: Emulator) -> None:
        self.reporter, self.clock = reporter, LoopClock()
        self.emulator = emulator
        self.written = ""
        self._stream, self._handle = stream, handle

    async def until(self, second: float) -> list[str]:
        """Let time pass up to that second of the run, and return what is on the screen then."""
        await self.clock.sleep(second - self.reporter.seconds)
        return self.look()

    def look(self) -> list[str]:
        """Return what is on the screen now."""
        new = self._stream.getvalue()[len(self.written) :]
        self.written += new
        self.emulator.feed(new.replace("\n", "\r\n").encode())
        return self.emulator.lines

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self.look()
        set_size(self._handle, columns, lines)
        self.emulator.resize(columns, lines)

    def start(self, *steps: PlannedStep) -> None:
        """Let steps begin."""
        for step in steps:
            self.reporter.started(step)

    def end(self, *steps: PlannedStep) -> None:
        """Let steps be carried out."""
        for step in steps:
            self.reporter.finished(step, 1.0)


def play(
    spec: ClusterSpec, size: tuple[int, int], story: Callable[[Film], Awaitable[None]], *, coloured: bool = True
) -> Film:
    """Play a story on a terminal of some columns and lines, to its end."""

    async def on_screen() -> Film:
        with _terminal(*size) as handle:
            stream, emulator = Kept(handle), Emulator(*size)
            async with LiveReporter(spec, LoopClock(), stream, coloured=coloured) as reporter:
                film = Film(reporter, stream, handle, emulator)
                await story(film)
            film.look()
            return film

    return run(on_screen())


@contextmanager
def _terminal(columns: int, lines: int) -> Iterator[int]:
    ours, theirs = pty.openpty()
    try:
        set_size(theirs, columns, lines)
        yield theirs
    finally:
        os.close(ours)
        os.close(theirs)
