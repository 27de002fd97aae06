"""What a run tells its user on stderr while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hetzner_k3s.cli.render.ending import Ending, Tally, next_lines
from hetzner_k3s.cli.render.names import short
from hetzner_k3s.cli.render.plan import (
    first_aid_lines,
    left_alone_lines,
    plan_lines,
    purchase_lines,
    refusal_lines,
    time_lines,
    wait_lines,
)
from hetzner_k3s.cli.render.progress import Progress
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.plan import Forecast, PlannedStep, Refusal, Wait
from hetzner_k3s.model.steps.words import verb


class ConsoleReporter:
    """Reports a run on the console (`reconcile.Events`); with `quiet` only what went wrong."""

    def __init__(self, cluster: str, *, quiet: bool, now: Callable[[], float], write: Callable[[str], None]) -> None:
        """Begin the run's clock; `now` gives seconds, `write` takes a line."""
        self._cluster = cluster
        self._quiet = quiet
        self._write = write
        self._progress = Progress(cluster, now, write)
        self._written: set[str] = set()
        self.tally = Tally()

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return self._progress.seconds

    def shown(self, forecast: Forecast) -> None:
        """Show notes, the way in waves, and refusals."""
        self.tally.shown(forecast)
        if not self._quiet:
            for line in (*(f"note: {note}" for note in forecast.notes), *left_alone_lines(forecast)):
                self._write_once(line)
            way = (*plan_lines(self._cluster, forecast.waves), *purchase_lines(forecast.purchase))
            for line in (*way, *time_lines(forecast), *wait_lines(forecast.waits)):
                self._write(line)
            for line in first_aid_lines(forecast):
                self._write(line)
        self.refused(forecast.refusals)

    def _write_once(self, line: str) -> None:
        """Write what lasts once a run: its way may be shown again."""
        if line not in self._written:
            self._written.add(line)
            self._write(line)

    def started(self, planned: PlannedStep) -> None:
        """Say nothing: the step's handler has better words for what it does."""

    def finished(self, planned: PlannedStep, _seconds: float) -> None:
        """Count it and say nothing: the next line tells that it goes on, and the journal keeps the time."""
        self.tally.finished(planned)

    def failed(self, planned: PlannedStep, error: ProductError, *, again: bool) -> None:
        """Say what a step failed of; one that is tried again has not failed yet, and is nothing for `--quiet`."""
        target = planned.step.target
        what = f"{verb(planned.step)} {short(target, self._cluster)}"
        if not again:
            self._progress.say(target, f"failed ({what}): {error}")
        else:
            self.say(target, f"trying again ({what}): {error}")

    def waiting(self, wait: Wait) -> None:
        """Say what has to come by itself."""
        self.say(self._cluster, next(iter(wait_lines((wait,)))))

    def refused(self, refusals: tuple[Refusal, ...]) -> None:
        """Show why nothing is done."""
        for line in refusal_lines(refusals):
            self._write(line)

    def say(self, name: str, what: str) -> None:
        """Show that something happens to a server or resource."""
        if not self._quiet:
            self._progress.say(name, what)

    def ended(self, ending: Ending) -> None:
        """Say what was done, and what comes next."""
        if ending.summary:
            self.say(self._cluster, ending.summary)
        if not self._quiet:
            for line in next_lines(ending):
                self._write(line)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question for the length of a block, which is not counted as the run's time."""
        before = self.seconds
        try:
            yield
        finally:
            self._progress.leave_out(self.seconds - before)
