"""The loop (docs/architecture.md#the-loop): the only place that observes, decides and acts.

Continuous, without wave barriers: every completion is followed by a look at what it touched and a new plan. A step is
started only if the forecast that was shown names it, only under the operator lock, and is never retried inside.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Protocol

from hetzner_k3s import decide
from hetzner_k3s.act import journal, lock
from hetzner_k3s.act.context import Context, HostKeyRing, Outcome
from hetzner_k3s.act.news import News
from hetzner_k3s.act.registry import execute
from hetzner_k3s.act.run_note import CodeOf, RunNote
from hetzner_k3s.act.setbacks import Setbacks
from hetzner_k3s.act.state_patch import learn
from hetzner_k3s.decide.repair.replace import bound, spent
from hetzner_k3s.model.errors import DeadlineExceeded, ExitCode, ProductError, code_of
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.plan import PATIENCE, Forecast, Intent, Plan, PlannedStep, Refusal, StepKey, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.observe import (
    SIGHT,
    Focus,
    Sight,
    focus_after,
    is_changing,
    observe,
    observe_again,
    observe_under_lock,
    with_assortment,
)
from hetzner_k3s.ports import Ports

POLL = 0.5
"""Seconds between two looks while nothing is under way but something is waited for."""

_LOOK = "Look at it with `hetzner-k3s status`, then run the command again."

LISTING_POLL = 3.0
"""Seconds between two listings while a server of ours is being started, stopped or deleted: Hetzner counts requests."""


class Events(Protocol):
    """Who is told what happens."""

    def shown(self, forecast: Forecast) -> None:
        """Show the way before it is gone."""
        ...

    def started(self, planned: PlannedStep) -> None: ...

    def finished(self, planned: PlannedStep, seconds: float) -> None: ...

    def failed(self, planned: PlannedStep, error: ProductError, *, again: bool) -> None:
        """Take note of a failure; with `again` the step is tried once more where it is still wanted."""
        ...

    def waiting(self, wait: Wait) -> None: ...

    def refused(self, refusals: tuple[Refusal, ...]) -> None: ...

    def say(self, name: str, what: str) -> None:
        """Pass on what a handler says about a server or resource."""
        ...


Confirm = Callable[[Forecast], Awaitable[bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a run is for: the file, the intent, who holds the lock, and whether the user must agree first.

    `command` is noted in a cluster that the run changes ("": nothing is), with the exit code that `code_of` says.
    """

    spec: ClusterSpec
    intent: Intent
    lock_request: lock.LockRequest
    confirm: Confirm | None = None
    command: str = ""
    code_of: CodeOf = code_of


async def converge(request: RunRequest, ports: Ports, events: Events) -> ExitCode:
    """Look, show the way, and go it until nothing is left to do.

    Raises:
        CloudRefused: Hetzner does not accept the token.
        LockHeld: another run works on the cluster.
    """
    setbacks, note = Setbacks(), _note_of(request, ports)
    async with note.left():
        try:
            note.code = setbacks.ending(await _converge(request, ports, events, setbacks, note))
        except ProductError as error:
            error.exit_code = setbacks.ending(error.exit_code)
            raise
    return note.code


def _note_of(request: RunRequest, ports: Ports) -> RunNote:
    return RunNote(
        ports=ports,
        spec=request.spec,
        signed=request.lock_request,
        command=request.command,
        code_of=request.code_of,
        healthy_master=decide.healthy_master,
        began=ports.clock.monotonic(),
    )


async def _converge(request: RunRequest, ports: Ports, events: Events, setbacks: Setbacks, note: RunNote) -> ExitCode:
    before: ClusterState | None = None
    idle_since: float | None = None
    while True:
        listed_at = ports.clock.monotonic()
        state, forecast = await look_ahead(request, ports, events, before)
        before = state
        if idle_since is None or not _only_time_shows(forecast):
            events.shown(forecast)
        if not forecast.waves and (forecast.refusals or not forecast.waits):
            return await _nothing_to_do(request, ports, state, forecast, setbacks)
        if _only_time_shows(forecast):
            idle_since = ports.clock.monotonic() if idle_since is None else idle_since
            await _let_time_pass(request, ports, state, idle_since)
            continue
        idle_since = None
        if request.confirm is not None and not await request.confirm(forecast):
            return ExitCode.INTERRUPTED
        request = replace(request, intent=bound(request.spec, state, request.intent))
        setbacks.approve(forecast)
        async with lock.held(ports, request.lock_request, events.say) as held:
            if not held.was_free_since(listed_at, state.view):
                state = await observe_under_lock(ports, request.spec, request.intent.verb, state, listed_at)
            run = _Run(
                request=request, ports=ports, events=events, held=held, setbacks=setbacks, note=note, shown=forecast
            )
            verdict = await run.go(state)
        if verdict is not _Again.LOOK:
            return verdict
        request = run.request


def _only_time_shows(forecast: Forecast) -> bool:
    """Check whether nothing is left but to look on: nobody needs a lock for that."""
    waits = forecast.waits if not (forecast.waves or forecast.refusals) else ()
    return bool(waits) and all(wait.idle for wait in waits)


async def _let_time_pass(request: RunRequest, ports: Ports, state: ClusterState, since: float) -> None:
    """Look again until there is something else to see than what only time shows.

    Raises:
        DeadlineExceeded: time has not shown it, counted from `since` on.
    """
    forecast = _forecast(request, ports, state)
    while _only_time_shows(forecast):
        waited = ports.clock.monotonic() - since
        if late := [wait for wait in forecast.waits if waited > wait.deadline]:
            raise DeadlineExceeded(f"waited {waited:.0f} s for {late[0].what}: {late[0].because}", hint=_LOOK)
        await ports.clock.sleep(POLL)
        state = await observe_again(ports, request.spec, state, Focus(listing=False))
        forecast = _forecast(request, ports, state)


def _forecast(request: RunRequest, ports: Ports, state: ClusterState) -> Forecast:
    forecast = decide.forecast(request.spec, state, request.intent)
    if ports.transcript is not None:
        ports.transcript.decided(state, request.intent, forecast)
    return forecast


async def _nothing_to_do(
    request: RunRequest, ports: Ports, state: ClusterState, forecast: Forecast, setbacks: Setbacks
) -> ExitCode:
    if (error := setbacks.error()) is not None:
        raise error
    if forecast.refusals:
        return ExitCode.REFUSED
    await lock.forget_killed(ports, request.lock_request, state.view)
    return ExitCode.PENDING if forecast.left_alone else ExitCode.CONVERGED


async def look_ahead(
    request: RunRequest, ports: Ports, events: Events, before: ClusterState | None = None
) -> tuple[ClusterState, Forecast]:
    """Look until nothing that may pass by itself stands in the way: right after a loss there is an election.

    One passing refusal among lasting ones is waited for too: what is said must count the healthy voters as they are.
    `before` is an earlier look of this run.
    """
    state = await observe(ports, request.spec, request.intent.verb)
    if SIGHT[request.intent.verb].assortment:
        exchanging = request.intent.may_exchange
        state = await with_assortment(ports, request.spec, state, before, exchanging=exchanging)
    began, told = ports.clock.monotonic(), ""
    while True:
        forecast = _forecast(request, ports, state)
        transient = [refusal for refusal in forecast.refusals if refusal.transient]
        left = began + max((r.patience for r in transient), default=0.0) - ports.clock.monotonic()
        if not transient or left <= 0:
            return state, forecast
        if (why := transient[0].saw) != told:
            events.waiting(Wait(what="the cluster to come to rest", because=why, deadline=left))
            told = why
        await ports.clock.sleep(POLL)
        state = await observe_again(ports, request.spec, state, Focus(listing=False))


class _Again(Enum):
    """How a run under the lock ends when the way has to be shown anew."""

    LOOK = auto()


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run under the lock: what was shown, what is under way, what failed."""

    request: RunRequest
    ports: Ports
    events: Events
    held: lock.OperatorLock
    setbacks: Setbacks
    note: RunNote
    shown: Forecast
    key_ring: HostKeyRing = field(default_factory=HostKeyRing)
    in_flight: dict[StepKey, tuple[PlannedStep, asyncio.Task[Outcome]]] = field(default_factory=dict)
    news: News = field(default_factory=News)
    quiet_since: float | None = None

    async def go(self, state: ClusterState) -> ExitCode | _Again:
        try:
            return await self._loop(state)
        finally:
            for _, task in self.in_flight.values():
                task.cancel()
            await asyncio.gather(*(task for _, task in self.in_flight.values()), return_exceptions=True)

    async def _loop(self, state: ClusterState) -> ExitCode | _Again:
        while True:
            self.note.seen = state
            plan = decide.plan(self.request.spec, state, self.request.intent, frozenset(self.in_flight))
            plan = replace(plan, steps=self.setbacks.startable(plan.steps))
            if self.ports.transcript is not None:
                self.ports.transcript.decided(state, self.request.intent, plan)
            await self._start(plan, state)
            if self.in_flight:
                state = await self._next_completion(state)
                continue
            if (verdict := self._verdict(plan)) is not None:
                return verdict
            changing = is_changing(state)
            await self.ports.clock.sleep(LISTING_POLL if changing else POLL)
            focus = replace(self.sight.whole, listing=_unlisted(state), servers=changing)
            state = await observe_again(self.ports, self.request.spec, state, focus)

    async def _start(self, plan: Plan, state: ClusterState) -> None:
        spec = decide.wanted(self.request.spec, state, self.request.intent, frozenset(self.in_flight))
        for planned in plan.steps:
            await self.held.check()
            self._launch(planned, state, spec)

    def _launch(self, planned: PlannedStep, state: ClusterState, spec: ClusterSpec) -> None:
        context = Context(
            ports=self.ports,
            spec=spec,
            state=state,
            fence=self.held.fence,
            key_ring=self.key_ring,
            say=self.events.say,
            learn=self.news.put,
            holder=self.request.lock_request.holder,
        )
        self.events.started(planned)
        journal.started(self.ports.local, planned)
        self.quiet_since = None
        self.setbacks.begin(planned)
        self.note.begin(planned)
        self.held.begin(planned.step)
        self.in_flight[planned.key] = (planned, asyncio.create_task(self._timed(planned, context)))

    async def _timed(self, planned: PlannedStep, context: Context) -> Outcome:
        began = self.ports.clock.monotonic()
        outcome = await execute(planned.step, context)
        seconds = self.ports.clock.monotonic() - began
        self.events.finished(planned, seconds)
        journal.finished(self.ports.local, planned, seconds)
        return outcome

    async def _next_completion(self, state: ClusterState) -> ClusterState:
        """Wait until a step ends, and look again at what it touched; or until one has learned something meanwhile."""
        await self.news.come_or(task for _, task in self.in_flight.values())
        for learned in self.news.take():
            state = learn(state, learned)
        done = [(planned, task) for planned, task in self.in_flight.values() if task.done()]
        if not done:
            return state
        for planned, task in done:
            del self.in_flight[planned.key]
            state = self._settle(planned, task, state)
        focus = focus_after([planned for planned, _ in done], state)
        if any(task.exception() for _, task in done):
            focus = replace(focus, listing=True)  # what a step did before it failed, only the listing tells
        if _unlisted(state):
            focus = replace(self.sight.whole, listing=True)
        return await observe_again(self.ports, self.request.spec, state, focus)

    @property
    def sight(self) -> Sight:
        """Return what the run's verb has to see."""
        return SIGHT[self.request.intent.verb]

    def _settle(self, planned: PlannedStep, task: asyncio.Task[Outcome], state: ClusterState) -> ClusterState:
        error = task.exception()
        if error is None:
            self.setbacks.complete(planned)
            self.request = replace(self.request, intent=spent(self.request.intent, (planned,)))
            return learn(state, task.result())
        if not isinstance(error, ProductError):
            raise error
        self.setbacks.fail(planned, error)
        self.events.failed(planned, error, again=self.setbacks.tries_again(planned))
        journal.failed(self.ports.local, planned, error)
        self.request = replace(self.request, intent=self.setbacks.met(self.request.intent))
        return state

    def _verdict(self, plan: Plan) -> ExitCode | _Again | None:
        """Return how the run ends when nothing is under way; None means: look again.

        Args:
            plan: what is left to do, without the steps that this run does not begin again.
        """
        if self.setbacks.ended is not None:
            raise self.setbacks.ended
        if plan.steps:
            return None
        if self.setbacks.way_is_another:
            return _Again.LOOK
        if plan.settled:
            return self._done(plan)
        return self._patience_ends(plan)

    def _unless_failed(self, code: ExitCode) -> ExitCode:
        if (error := self.setbacks.error()) is not None:
            raise error
        return code

    def _patience_ends(self, plan: Plan) -> ExitCode | None:
        """Return how a run ends that only waits, or that is refused, when it has waited long enough."""
        now = self.ports.clock.monotonic()
        self.quiet_since = now if self.quiet_since is None else self.quiet_since
        quiet = now - self.quiet_since
        if plan.refusals:
            return self._refuse(plan.refusals) if quiet >= PATIENCE else None
        if quiet == 0:
            for wait in plan.waits:
                self.events.waiting(wait)
        if all(wait.tolerated and quiet > wait.deadline for wait in plan.waits):
            return self._done(plan)
        overdue = [wait for wait in plan.waits if quiet > wait.deadline and not wait.tolerated]
        if overdue and overdue[0].otherwise is not None:
            return self._refuse((overdue[0].otherwise,))
        if overdue:
            self._unless_failed(ExitCode.FAILED)
            raise ProductError(f"waited {quiet:.0f} s for {overdue[0].what}: {overdue[0].because}", hint=_LOOK)
        return None

    def _refuse(self, refusals: tuple[Refusal, ...]) -> ExitCode:
        self.events.refused(refusals)
        return self._unless_failed(ExitCode.REFUSED)

    def _done(self, plan: Plan) -> ExitCode:
        """Return how a run ends that has done all; what is not well, and was not foreseen, is said."""
        for what in plan.left_alone:
            if what not in self.shown.left_alone:
                self.events.say(self.request.spec.name, what)
        return self._unless_failed(ExitCode.PENDING if plan.left_alone else ExitCode.CONVERGED)


def _unlisted(state: ClusterState) -> bool:
    return not isinstance(state.cloud, Known)
