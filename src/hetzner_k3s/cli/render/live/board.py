"""What is to be seen of a run at a moment, from the events so far: no terminal, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from hetzner_k3s.cli.render.live.phases import AGAIN, FAILED, PLANNED, after, during
from hetzner_k3s.cli.render.live.todo import CLUSTER, Estimate, Todo, estimate
from hetzner_k3s.cli.render.names import short
from hetzner_k3s.model.plan import Forecast, PlannedStep, StepKey
from hetzner_k3s.model.steps import CreateServer, Step
from hetzner_k3s.model.steps.traits import TRAITS, Occupies
from hetzner_k3s.model.steps.words import verb

WORKING: Final = "working"
WAITING: Final = "waiting"
ENDING: Final = "ending"
MOST: Final = 0.99


@dataclass(slots=True)
class Lane:
    """A server, or the cluster itself: its phase, since when, and what was said of it last."""

    name: str
    phase: str
    since: float
    said: str = ""
    failed: bool = False
    touched: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A lane as it is shown: `critical` where the rest waits for it, `moving` where a step is under way.

    It was `touched` where a step was begun on it.
    """

    name: str
    phase: str
    seconds: float
    detail: str
    critical: bool = False
    moving: bool = False
    failed: bool = False
    late: bool = False
    touched: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is shown: the rows in the file's order; `left` is None while no step is known to be left.

    `share` is what has passed of what is expected in all, which is never all while something is left.
    """

    rows: tuple[Row, ...]
    cluster: Row | None
    elapsed: float
    left: float | None
    expected: float
    share: float = 0.0

    @property
    def is_late(self) -> bool:
        """Check whether the run takes noticeably longer than was said when it was shown."""
        return self.elapsed + (self.left or 0.0) > 1.2 * self.expected + 5


@dataclass(slots=True, kw_only=True)
class Board:
    """Takes the events of a run, and says what is to be seen.

    Args:
        cluster: its name.
        servers: names of the file's servers, in its order.
        began: when the run began, as every `now` here in seconds of one clock.
    """

    cluster: str
    servers: tuple[str, ...]
    began: float
    lanes: dict[str, Lane] = field(default_factory=dict)
    _todos: dict[StepKey, list[Todo]] = field(default_factory=dict)
    _expected: float | None = None
    _share: float = 0.0
    _own: Lane = field(init=False)
    _places: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Begin with looking at what there is."""
        self._own = Lane(CLUSTER, "looking", self.began, "at Hetzner, the hosts and the API")
        self._places = {name: place for place, name in enumerate(self.servers)}

    def shown(self, forecast: Forecast, now: float) -> None:
        """Take the way that is gone from now on; what was done stays to be seen."""
        steps = [planned.step for wave in forecast.waves for planned in wave]
        names = {step.target for step in steps if _is_on_a_server(step)}
        ordered = {step.target for step in steps if isinstance(step, CreateServer)}
        for name in sorted(names - self.lanes.keys(), key=self._place):
            self.lanes[name] = Lane(name, PLANNED if name in ordered else WAITING, now)
        self._todos = {}
        for number, wave in enumerate(forecast.waves):
            for planned in wave:
                self._todos.setdefault(planned.key, []).append(Todo(planned, number, self._lane_of(planned.step)))
        self._expected, self._share = forecast.seconds + (now - self.began), 0.0
        self._own = Lane(CLUSTER, WORKING, now)

    def started(self, planned: PlannedStep, now: float) -> None:
        """Take note of a step under way."""
        todos = self._todos.setdefault(planned.key, [])
        todo = next((todo for todo in todos if todo.began is None), None)
        if todo is None:
            todos.append(todo := Todo(planned, 0, self._lane_of(planned.step)))
        todo.began = now
        self._enter(todo, during(planned.step), now)

    def finished(self, planned: PlannedStep, now: float) -> None:
        """Take note of a step that was carried out."""
        if (todo := self._take_out(planned)) is not None:
            self._enter(todo, after(planned.step), now)

    def failed(self, planned: PlannedStep, why: str, now: float, *, again: bool) -> None:
        """Take note of a step that failed: one that is tried again is left to do."""
        if (todo := self._take_out(planned)) is None:
            return
        if again:
            self._todos[planned.key].append(Todo(planned, todo.wave, todo.lane))
        self._enter(todo, AGAIN if again else FAILED, now)
        if (lane := self.lanes.get(todo.lane)) is not None:
            lane.failed, lane.said = not again, why

    def said(self, name: str, what: str, now: float) -> bool:
        """Take note of what a step says, and tell whether that is about a server with a line of its own."""
        if (lane := self.lanes.get(name)) is not None:
            lane.said = what
            return True
        where = "" if name == self.cluster else f"{short(name, self.cluster)}: "
        self._own = Lane(CLUSTER, WORKING, now, where + what)
        return False

    def interrupted(self, now: float) -> None:
        """Take note that the run was interrupted, and ends."""
        if self._own.phase != ENDING:
            self._own = Lane(CLUSTER, ENDING, now, "interrupted; giving the lock back")

    def waiting(self, what: str, now: float) -> None:
        """Take note of what has to come by itself."""
        self._own = Lane(CLUSTER, WAITING, now, f"for {what}")

    def picture(self, now: float) -> Picture:
        """Return what is to be seen now."""
        ahead = estimate((todo for todos in self._todos.values() for todo in todos), now)
        if self._expected is not None and (whole := now - self.began + ahead.seconds) > 0:
            self._share = max(self._share, min(MOST, (now - self.began) / whole))  # a bar does not go back
        first: dict[str, Todo] = {}
        for todo in sorted((t for todos in self._todos.values() for t in todos), key=_order):
            first.setdefault(todo.lane, todo)
        return Picture(
            rows=tuple(self._row(lane, first.get(name), ahead, now) for name, lane in self.lanes.items()),
            cluster=self._cluster_row(first.get(CLUSTER), ahead, now),
            elapsed=now - self.began,
            left=ahead.seconds if ahead.critical is not None else None,
            expected=self._expected or 0.0,
            share=self._share,
        )

    def _row(self, lane: Lane, todo: Todo | None, ahead: Estimate, now: float) -> Row:
        moving = todo is not None and todo.began is not None
        detail, late = lane.said, False
        if todo is not None and moving and todo.is_overdue(now):
            late, detail = True, f"usually {todo.seconds:.0f} s: {lane.said}".removesuffix(": ")
        elif todo is not None and not moving and not lane.said:
            detail = self._what_it_waits_for(todo, ahead.roots[todo])
        critical = ahead.critical is not None and ahead.critical.lane == lane.name
        return Row(
            name=short(lane.name, self.cluster),
            phase=lane.phase,
            seconds=now - lane.since,
            detail=detail,
            critical=critical,
            moving=moving,
            failed=lane.failed,
            late=late,
            touched=lane.touched,
        )

    def _what_it_waits_for(self, todo: Todo, root: Todo) -> str:
        if root is todo or root.lane == todo.lane != CLUSTER:
            return f"next: {during(todo.planned.step)}"
        if root.lane != CLUSTER:
            return f"waits for {short(root.lane, self.cluster)}"
        return f"waits for: {verb(root.planned.step)} {short(root.planned.step.target, self.cluster)}"

    def _cluster_row(self, todo: Todo | None, ahead: Estimate, now: float) -> Row | None:
        moving = todo is not None and todo.began is not None
        lane = self._own
        if lane.phase == WORKING and not moving:
            return None
        critical = moving and ahead.critical is not None and ahead.critical.lane == CLUSTER
        detail, seconds = lane.said, now - lane.since
        return Row(
            name=self.cluster, phase=lane.phase, seconds=seconds, detail=detail, critical=critical, moving=moving
        )

    def _enter(self, todo: Todo, phase: str, now: float) -> None:
        if (lane := self.lanes.get(todo.lane)) is not None:
            lane.phase, lane.since, lane.said, lane.failed, lane.touched = phase, now, "", False, True
        elif self._own.phase != WORKING:
            self._own = Lane(CLUSTER, WORKING, now)

    def _take_out(self, planned: PlannedStep) -> Todo | None:
        todos = self._todos.get(planned.key, [])
        todo = next((todo for todo in todos if todo.began is not None), None)
        if todo is not None:
            todos.remove(todo)
        return todo

    def _lane_of(self, step: Step) -> str:
        return step.target if step.target in self.lanes else CLUSTER

    def _place(self, name: str) -> tuple[int, str]:
        """Return where a server stands: in the file's order, then what is beyond it."""
        return self._places.get(name, len(self._places)), name


def _is_on_a_server(step: Step) -> bool:
    return bool(TRAITS[type(step)].occupies & (Occupies.HOST | Occupies.DEPARTURE))


def _order(todo: Todo) -> tuple[bool, int]:
    return todo.began is None, todo.wave


def counted(rows: Iterable[Row]) -> str:
    """Return how many rows are in which phase, the most first."""
    phases: dict[str, int] = {}
    for row in rows:
        phases[row.phase] = phases.get(row.phase, 0) + 1
    most = sorted(phases.items(), key=lambda item: -item[1])
    return ", ".join(f"{count} {phase}" for phase, count in most)
