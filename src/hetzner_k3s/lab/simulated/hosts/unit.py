"""A systemd unit of k3s: `Type=notify`, `Restart=always`, five seconds between two starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from hetzner_k3s.lab.k3s.logfmt import Fatal, ShutdownRequested
from hetzner_k3s.lab.simulated.hosts.disk import Disk
from hetzner_k3s.lab.simulated.hosts.ssh import Ssh
from hetzner_k3s.lab.simulated.site import Standing
from hetzner_k3s.model.host import UnitFacts
from hetzner_k3s.model.operations.operation import K3sRole

T = TypeVar("T")

_RESTART_SECONDS = 5.0


class Process(Protocol):
    """What a unit runs."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until it ends by itself (`Fatal`, `ShutdownRequested`) or is cancelled; `ready` is READY=1."""
        ...

    def close(self) -> None:
        """Let go of everything; called however it ended."""
        ...


class Ground(Standing, Protocol):
    """What a host gives to that which runs on it."""

    name: str
    disk: Disk
    ssh: Ssh

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that ends with the power."""
        ...

    def log(self, role: K3sRole, text: str) -> None:
        """Append to a unit's journal."""
        ...


class Unit:
    """One unit of a host.

    Args:
        host: where it is installed.
        role: server or agent.
        make: makes the process of one start, after the guard let it pass (`Fatal` where it does not).
    """

    def __init__(self, host: Ground, role: K3sRole, make: Callable[[], Process]) -> None:
        self._host, self.role, self._make = host, role, make
        self._task: asyncio.Task[None] | None = None
        self._active, self._sub, self._restarts, self._pid = "inactive", "dead", 0, 0
        self._began = self._ready_at = 0.0
        self.process: Process | None = None
        self.starts = 0
        """How often a start was asked for, by systemd at boot or by somebody."""

    def facts(self) -> UnitFacts:
        """Return what systemd shows."""
        return UnitFacts(
            active=self._active,
            sub=self._sub,
            restarts=self._restarts,
            main_pid=self._pid,
            running_for=None if self.process is None else asyncio.get_running_loop().time() - self._began,
        )

    @property
    def active_for(self) -> float:
        """Return the seconds since READY=1 of the process that runs now; 0 where it has not come."""
        return asyncio.get_running_loop().time() - self._ready_at if self._active == "active" else 0.0

    @property
    def running(self) -> bool:
        """Check whether it is active or on the way there, and not between two starts."""
        return self._task is not None and self._sub != "auto-restart"

    def start(self) -> None:
        """Start it; between two starts, start it at once. Only then the counter of restarts goes on."""
        if self.running:
            return
        if self._sub != "auto-restart":
            self._restarts = 0
        self.stop()
        self.starts += 1
        self._active, self._sub = "activating", "start"
        self._task = self._host.spawn(self._keep_running())

    def stop(self) -> None:
        """Stop it."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._end_process()
        self._active, self._sub = "inactive", "dead"

    def _end_process(self) -> None:
        if self.process is not None:
            self.process.close()
            self.process = None

    async def _keep_running(self) -> None:
        while True:
            self._active, self._sub = "activating", "start"
            self._pid += 1
            self._began = asyncio.get_running_loop().time()
            process: Process | None = None
            try:
                self.process = process = self._make()
                await process.run(self._ready)
            except (Fatal, ShutdownRequested) as problem:
                level = "fatal" if isinstance(problem, Fatal) else "error"
                self._host.log(self.role, f"level={level} msg={str(problem)!r}")
            finally:
                if process is self.process:  # one that was stopped ends after its successor has begun
                    self._end_process()
            self._active, self._sub = "activating", "auto-restart"
            await asyncio.sleep(_RESTART_SECONDS)
            self._restarts += 1

    def _ready(self) -> None:
        self._active, self._sub = "active", "running"
        self._ready_at = asyncio.get_running_loop().time()
        self._host.disk.commands_wait = False
