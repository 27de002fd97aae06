"""What a run leaves of itself in the cluster for everybody who operates it: who, when, what, and how it ended.

It explains and decides nothing: a cluster that does not take it fails no run, and is not waited for. A run that changed
nothing leaves nothing; nor does one that adopted a cluster, where nothing but its lineage is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.model import lookup
from hetzner_k3s.model.errors import ExitCode, ProductError
from hetzner_k3s.model.hosts.contact import HostTarget, host_target
from hetzner_k3s.model.kubernetes.run_history import PastRun
from hetzner_k3s.model.plan import PlannedStep, Scope
from hetzner_k3s.model.secrets import masked
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import AdoptCluster
from hetzner_k3s.ports import Ports

_WITHIN = 5.0
"""Seconds that a run waits at its end for the cluster to take the note."""

CodeOf = Callable[[Exception], ExitCode]
HealthyMaster = Callable[[ClusterSpec, ClusterState], int | None]
"""Returns the server id of the master that everything is done through."""


@dataclass(slots=True, kw_only=True)
class RunNote:
    """The note of one run, as it grows.

    Args:
        command: the command with its flags, as others may read it; "" leaves no note.
        code_of: returns the exit code that an error ends in.
        began: monotonic seconds.
        seen: the last look.
        code: what a run that raises nothing ends with.
    """

    ports: Ports
    spec: ClusterSpec
    signed: LockRequest
    command: str
    code_of: CodeOf
    healthy_master: HealthyMaster
    began: float
    seen: ClusterState | None = None
    code: ExitCode = ExitCode.CONVERGED
    _changed: bool = False
    _adopted: bool = False

    def begin(self, planned: PlannedStep) -> None:
        """Take note of a step that is begun."""
        self._changed |= planned.scope is not Scope.LOCAL
        self._adopted |= isinstance(planned.step, AdoptCluster)

    @asynccontextmanager
    async def left(self) -> AsyncIterator[None]:
        """Leave the note when a block ends, however it does."""
        try:
            yield
        except asyncio.CancelledError:
            await self._leave(ExitCode.INTERRUPTED)
            raise
        except Exception as error:
            await self._leave(self.code_of(error))
            raise
        await self._leave(self.code)

    async def _leave(self, code: ExitCode) -> None:
        if not self.command or not self._changed or self._adopted:
            return
        if (master := self._master()) is None:
            self._remark("no master is healthy")
            return
        try:
            async with asyncio.timeout(_WITHIN):
                await self.ports.kube.note_run(master, self._entry(code))
        except ProductError as error:
            self._remark(str(error))
        except TimeoutError:
            self._remark(f"{master.name} did not answer within {_WITHIN:.0f} s")

    def _master(self) -> HostTarget | None:
        if self.seen is None or (number := self.healthy_master(self.spec, self.seen)) is None:
            return None
        server = next(server for server in self.seen.view.servers if server.id == number)
        return host_target(self.spec, server, lookup.internal_ips(self.spec, self.seen.view))

    def _entry(self, code: ExitCode) -> PastRun:
        clock = self.ports.clock
        seconds = clock.monotonic() - self.began
        return PastRun(
            run=self.signed.run,
            who=masked(self.signed.holder),
            began=clock.now() - seconds,
            command=masked(self.command),
            code=code,
            seconds=seconds,
        )

    def _remark(self, why: str) -> None:
        if self.ports.transcript is not None:
            self.ports.transcript.remark(f"this run is not noted in the cluster: {why}")
