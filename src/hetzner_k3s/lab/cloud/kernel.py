"""Time in the cloud: processes on an event heap, free of wall clock and asyncio.

A process is a generator that yields what it waits for: `Wait` (modelled time) or `Call` (work on a machine). Whoever
drives the timeline (real clock or simulation) runs what is due and performs the calls it is handed.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Wait:
    """Modelled time passing."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Work outside the state machine; calls of one subject are performed one after another, in order."""

    subject: str
    work: Callable[[], Coroutine[Any, Any, None]]


Process = Generator[Wait | Call, None, None]


class MachineFailedError(Exception):
    """Thrown into a process whose call failed; the text is that of the original exception."""


@dataclass(slots=True, eq=False)
class Running:
    """A started process: `owner` is the id of the resource whose deletion ends it."""

    process: Process
    owner: int | None
    cancelled: bool = False
    failure: MachineFailedError | None = None


@dataclass(frozen=True, slots=True)
class PendingCall:
    """A call that the driver must perform and then report to `Timeline.finish`."""

    call: Call
    running: Running


@dataclass(order=True, slots=True)
class _Event:
    due: float
    order: int
    running: Running = field(compare=False)


class Timeline:
    """The one scheduler of the cloud.

    Args:
        monotonic: gives seconds that never run backwards.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._heap: list[_Event] = []
        self._order = itertools.count()
        self._in_call: list[Running] = []
        self.on_change: Callable[[], None] = lambda: None

    def start(self, process: Process, *, owner: int | None = None) -> None:
        """Begin a process at the present moment (it makes its first step when the driver runs what is due)."""
        self._push(0.0, Running(process, owner))

    def cancel(self, owner: int) -> None:
        """End the processes of a resource; one that is inside a call ends when the call returns."""
        waiting = [event for event in self._heap if event.running.owner == owner]
        for running in (*(event.running for event in waiting), *self._in_call):
            if running.owner == owner:
                running.cancelled = True
        for event in waiting:
            event.running.process.close()

    def next_due(self) -> float | None:
        """Return the monotonic second of the next event, None when nothing is scheduled."""
        return self._heap[0].due if self._heap else None

    def run_due(self) -> list[PendingCall]:
        """Advance every process that is due and give the calls that must now be performed."""
        calls: list[PendingCall] = []
        while self._heap and self._heap[0].due <= self._monotonic():
            running = heapq.heappop(self._heap).running
            if not running.cancelled:
                calls += self._advance(running)
        return calls

    def finish(self, pending: PendingCall, error: BaseException | None) -> None:
        """Report that a call returned; a failure is thrown into its process when the driver next runs what is due."""
        running = pending.running
        self._in_call.remove(running)
        if running.cancelled:
            running.process.close()
            return
        running.failure = MachineFailedError(str(error) or type(error).__name__) if error else None
        self._push(0.0, running)

    def _advance(self, running: Running) -> list[PendingCall]:
        failure, running.failure = running.failure, None
        try:
            wanted = running.process.throw(failure) if failure else next(running.process)
        except StopIteration:
            return []
        if isinstance(wanted, Wait):
            self._push(wanted.seconds, running)
            return []
        self._in_call.append(running)
        return [PendingCall(wanted, running)]

    def _push(self, delay: float, running: Running) -> None:
        heapq.heappush(self._heap, _Event(self._monotonic() + delay, next(self._order), running))
        self.on_change()
