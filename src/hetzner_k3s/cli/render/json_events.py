"""What a run tells a program on stdout: one JSON object a line, as docs/reference/events.schema.json says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from hetzner_k3s.cli.render.ending import Ending, Tally
from hetzner_k3s.cli.render.plan import forecast_rows, refusal_row, wait_row
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.plan import Forecast, PlannedStep, Refusal, StepKey, Verb, Wait

SCHEMA = 1
"""Raised when a key changes its meaning or goes away; new keys and events may come at any time."""

Row = Mapping[str, object]


@dataclass(slots=True, kw_only=True)
class JsonReporter:
    """Reports a run as events (`reconcile.Events`).

    Args:
        cluster, run: what the events are about: the cluster, and the id of the run, as its journal has it.
        verb: what the run is for.
        now: gives the wall-clock time as UNIX seconds.
        monotonic: gives seconds.
        write: takes a row.
    """

    cluster: str
    run: str
    verb: Verb
    now: Callable[[], float]
    monotonic: Callable[[], float]
    write: Callable[[Row], None]
    tally: Tally = field(default_factory=Tally)
    _began: float = 0.0
    _number: int = 0
    _attempts: Counter[StepKey] = field(default_factory=Counter)
    _ids: dict[StepKey, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the run's clock, and write the first event: whoever reads knows at once that it runs."""
        self._began = self.monotonic()
        self._tell("began", schema=SCHEMA, verb=self.verb.value)

    @property
    def seconds(self) -> float:
        """Return the seconds since the run began."""
        return self.monotonic() - self._began

    def shown(self, forecast: Forecast) -> None:
        """Tell the whole way, as `plan --json` does."""
        self.tally.shown(forecast)
        self._tell("shown", plan=forecast_rows(forecast))
        if forecast.refusals:
            self.refused(forecast.refusals)

    def started(self, planned: PlannedStep) -> None:
        """Tell that a step began, and why; its id is that of what is told of it afterwards."""
        self._attempts[planned.key] += 1
        self._ids[planned.key] = self._attempts.total()
        why = {"scope": planned.scope.value, "reason": planned.reason.value, "because": planned.because}
        self._tell("started", **self._step(planned), **why, consent=str(planned.consent) if planned.consent else None)

    def finished(self, planned: PlannedStep, seconds: float) -> None:
        """Tell that a step was carried out."""
        self.tally.finished(planned)
        self._tell("finished", **self._step(planned), took=round(seconds, 3))

    def failed(self, planned: PlannedStep, error: ProductError, *, again: bool) -> None:
        """Tell what a step failed of, and whether it is tried again."""
        self._tell("failed", **self._step(planned), error=str(error), hint=error.hint, again=again)

    def waiting(self, wait: Wait) -> None:
        """Tell what has to come by itself."""
        self._tell("waiting", **wait_row(wait))

    def refused(self, refusals: tuple[Refusal, ...]) -> None:
        """Tell why nothing is done."""
        self._tell("refused", refusals=[refusal_row(refusal) for refusal in refusals])

    def say(self, name: str, what: str) -> None:
        """Tell what a step says of a server or resource."""
        self._tell("said", target=name, text=what)

    def ended(self, ending: Ending) -> None:
        """Tell how the run ended."""
        counts = {what: ending.tally.servers[what] for what in ("created", "replaced", "deleted")}
        error = ending.error
        self._tell(
            "ended",
            exit_code=int(ending.code),
            outcome=ending.code.name.lower().replace("_", "-"),
            summary=ending.summary,
            steps=ending.tally.steps,
            servers=counts,
            api=ending.api,
            next=ending.next or None,
            error=None if error is None else str(error) if isinstance(error, ProductError) else type(error).__name__,
            hint=error.hint if isinstance(error, ProductError) else "",
        )

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to a question, which stderr is for."""
        yield

    def _step(self, planned: PlannedStep) -> dict[str, object]:
        key = planned.key
        return {"id": self._ids[key], "step": key.verb, "target": key.target, "attempt": self._attempts[key]}

    def _tell(self, event: str, **more: object) -> None:
        self._number += 1
        head = {"event": event, "number": self._number, "cluster": self.cluster, "run": self.run}
        times = {"time": round(self.now(), 3), "seconds": round(self.seconds, 3)}
        self.write({**head, **times, **more})
