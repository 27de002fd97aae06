"""What is left of the way that was shown, how long that takes, and which of it the rest waits for.

A step waits for what stands before it in the forecast: its own server's steps; of the control plane's steps, each for
those that the cluster takes one at a time; a server's order for the infrastructure. The longest of these chains is the
critical path, from the times of `model/steps/traits.py` and what has passed of the steps under way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from hetzner_k3s.model.plan import PlannedStep, Scope
from hetzner_k3s.model.steps import CreateServer, InstallK3s, PowerOn, SecureHost
from hetzner_k3s.model.steps.traits import TRAITS

OVERDUE = 0.2
"""What of its time so far a step will take still that takes longer than expected: the longer it took, the longer."""

PREPARATION = (CreateServer, PowerOn, SecureHost, InstallK3s)
"""Steps that bring a server up: they need nothing of the control plane."""

CLUSTER = ""
"""The lane of what is no server's."""


@dataclass(slots=True, eq=False)
class Todo:
    """A step that is left: in which wave of the forecast, on which server (its lane), under way since when."""

    planned: PlannedStep
    wave: int
    lane: str
    began: float | None = None
    seconds: float = field(init=False)
    """About how long it takes."""
    is_gate: bool = field(init=False)
    """Whether others wait for it that are not about its server."""

    def __post_init__(self) -> None:
        """Look its traits up once: there are thousands, and each frame asks."""
        traits = TRAITS[self.planned.key.kind]
        self.seconds = traits.seconds
        self.is_gate = traits.disruptive or traits.clears or self.lane == CLUSTER

    def left(self, now: float) -> float:
        """Return about how many seconds it takes from now on, once it may begin."""
        if self.began is None:
            return self.seconds
        elapsed = now - self.began
        return max(self.seconds - elapsed, OVERDUE * elapsed)

    def is_overdue(self, now: float) -> bool:
        """Check whether it takes noticeably longer than expected."""
        return self.began is not None and now - self.began > max(1.5 * self.seconds, 5 + self.seconds)


@dataclass(frozen=True, slots=True)
class Estimate:
    """The seconds left, the step that all waits for now, and for each step that is not under way what it waits for."""

    seconds: float
    critical: Todo | None
    roots: Mapping[Todo, Todo]


@dataclass(slots=True)
class _Walk:
    """The walk along the waves: when each step ends, and what it waits for."""

    now: float
    ends: dict[Todo, float] = field(default_factory=dict)
    before: dict[Todo, Todo | None] = field(default_factory=dict)
    lanes: dict[str, Todo] = field(default_factory=dict)
    scopes: dict[Scope, Todo] = field(default_factory=dict)
    """Of each scope the step of earlier waves that ends last, and the one of those that others wait for."""
    gates: dict[Scope, Todo] = field(default_factory=dict)

    def take(self, wave: list[Todo]) -> None:
        for todo in wave:
            end = todo.left(self.now)
            before = None
            if todo.began is None:
                for other in self._waits_for(todo):
                    if other is not None and (before is None or self.ends[other] > self.ends[before]):
                        before = other
            self.before[todo] = before
            self.ends[todo] = end if before is None else end + self.ends[before]
        for todo in wave:
            self._leave(todo)

    def _waits_for(self, todo: Todo) -> Iterator[Todo | None]:
        scope = todo.planned.scope
        yield self.scopes.get(scope) if todo.lane == CLUSTER else self.lanes.get(todo.lane)
        if scope is Scope.INFRASTRUCTURE or isinstance(todo.planned.step, CreateServer):
            yield self.gates.get(Scope.INFRASTRUCTURE)
        elif not isinstance(todo.planned.step, PREPARATION):
            yield self.gates.get(Scope.CONTROL_PLANE)

    def _leave(self, todo: Todo) -> None:
        if todo.lane != CLUSTER:
            self.lanes[todo.lane] = todo
        self._keep_the_later(self.scopes, todo)
        if todo.is_gate:
            self._keep_the_later(self.gates, todo)

    def _keep_the_later(self, latest: dict[Scope, Todo], todo: Todo) -> None:
        other = latest.get(todo.planned.scope)
        if other is None or self.ends[todo] > self.ends[other]:
            latest[todo.planned.scope] = todo

    def root(self, todo: Todo) -> Todo:
        """Return the step at the beginning of what a step waits for."""
        while (before := self.before[todo]) is not None:
            todo = before
        return todo


def estimate(todos: Iterable[Todo], now: float) -> Estimate:
    """Return how long it takes to do all that is left, and what that depends on."""
    walk = _Walk(now)
    for _, wave in groupby(sorted(todos, key=lambda todo: todo.wave), key=lambda todo: todo.wave):
        walk.take(list(wave))
    last = max(walk.ends, key=lambda todo: walk.ends[todo], default=None)
    return Estimate(
        seconds=walk.ends[last] if last is not None else 0.0,
        critical=walk.root(last) if last is not None else None,
        roots={todo: walk.root(todo) for todo in walk.before if todo.began is None},
    )
