"""Lets a person at a terminal watch a run: a line a server while it goes on, plain lines when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO

from hetzner_k3s.cli.output import harmless
from hetzner_k3s.cli.render.ending import Ending, Tally
from hetzner_k3s.cli.render.events import ConsoleReporter
from hetzner_k3s.cli.render.live.board import Board, counted
from hetzner_k3s.cli.render.live.frame import frame
from hetzner_k3s.cli.render.live.screen import Screen
from hetzner_k3s.cli.render.progress import progress_line
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.plan import Forecast, PlannedStep, Refusal, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.ports import Clock

_TICK = 0.25
"""Seconds between two frames: one that is the same is not drawn."""
_AT_ONCE = 250
"""With more servers than this there are fewer frames a second: the run itself needs the processor."""
_NAMED = 20
"""So many servers have a line each at the end; of more it is said how many are in which phase."""


class LiveReporter:
    """Reports a run on a terminal (`reconcile.Events`), for the length of a block."""

    def __init__(self, spec: ClusterSpec, clock: Clock, stream: TextIO, *, coloured: bool) -> None:
        """Begin the run's clock; `clock` decides also when the next frame is drawn."""
        self._cluster, self._clock = spec.name, clock
        self._board = Board(
            cluster=spec.name, servers=tuple(server.name for server in spec.servers()), began=clock.monotonic()
        )
        self._screen = Screen(stream, coloured=coloured)
        self._lines = ConsoleReporter(spec.name, quiet=False, now=clock.monotonic, write=self._above)
        self._run: asyncio.Task[object] | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._held = False

    async def __aenter__(self) -> Self:
        """Begin to draw."""
        self._run = asyncio.current_task()
        self._ticking = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take the frame away, whatever ended the run."""
        if self._ticking is not None:
            self._ticking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticking
        self._screen.clear()

    @property
    def tally(self) -> Tally:
        """Return what was carried out so far."""
        return self._lines.tally

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return self._lines.seconds

    def shown(self, forecast: Forecast) -> None:
        """Show the way above the frame, where it stays."""
        self._lines.shown(forecast)
        self._board.shown(forecast, self._now)

    def started(self, planned: PlannedStep) -> None:
        """Show that a step is under way."""
        self._board.started(planned, self._now)

    def finished(self, planned: PlannedStep, seconds: float) -> None:
        """Show that a step was carried out."""
        self._lines.finished(planned, seconds)
        self._board.finished(planned, self._now)

    def failed(self, planned: PlannedStep, error: ProductError, *, again: bool) -> None:
        """Show what a step failed of, also above the frame."""
        self._lines.failed(planned, error, again=again)
        self._board.failed(planned, harmless(str(error)), self._now, again=again)

    def waiting(self, wait: Wait) -> None:
        """Show what has to come by itself, also above the frame."""
        self._lines.waiting(wait)
        self._board.waiting(harmless(wait.what), self._now)

    def refused(self, refusals: tuple[Refusal, ...]) -> None:
        """Show above the frame why nothing is done."""
        self._lines.refused(refusals)

    def say(self, name: str, what: str) -> None:
        """Show what happens to a server on its line; what is about no server stays as a line above the frame."""
        if not self._board.said(name, harmless(what), self._now):
            self._lines.say(name, what)

    def ended(self, ending: Ending) -> None:
        """Take the frame away, and say how each server ended, what was done and what comes next."""
        self._screen.clear()
        self._held = True
        picture = self._board.picture(self._now)
        rows = [row for row in picture.rows if row.touched]
        if len(rows) > _NAMED:
            self._lines.say(self._cluster, f"{len(rows)} servers: {counted(rows)}")
        else:
            for row in sorted(rows, key=lambda row: -row.seconds):
                what = f"{row.phase}, when the run ended" if row.moving else row.phase
                self._above(progress_line(picture.elapsed - row.seconds, row.name, what))
        self._lines.ended(ending)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question for the length of a block."""
        self._screen.clear()
        self._held, before = True, self._now
        try:
            with self._lines.paused():
                yield
        finally:
            self._board.began += self._now - before
            self._held = False

    @property
    def _now(self) -> float:
        return self._clock.monotonic()

    def _above(self, line: str) -> None:
        self._screen.above(harmless(line))

    async def _tick(self) -> None:
        while True:
            self._draw()
            await self._clock.sleep(_TICK * max(1.0, len(self._board.lanes) / _AT_ONCE))

    def _draw(self) -> None:
        if self._held:
            return
        if self._run is not None and self._run.cancelling():
            self._board.interrupted(self._now)
        picture = self._board.picture(self._now)
        self._screen.show(lambda columns, lines, signs: frame(picture, columns, lines, signs))
