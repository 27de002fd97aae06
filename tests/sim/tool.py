"""Runs the product in a simulated world, as a process would: with an exit code, killed at a moment, or too long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hetzner_k3s import addons, decide
from hetzner_k3s.act.lock import LockRequest
from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated.moments import Killed
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import TOKEN, Session, World
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.difference import Difference
from hetzner_k3s.model.errors import ExitCode, ProductError
from hetzner_k3s.model.plan import Forecast, Intent, PlannedStep, Refusal, Verb, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.ports import Ports
from hetzner_k3s.reconcile import RunRequest, converge, look_ahead

NONE_GIVEN = Consents()
LONGEST_RUN = 3600.0
"""Virtual seconds after which a run counts as one that never ends."""


class NeverEnds(AssertionError):
    """A run that has no end: every wait has a deadline, so this is a bug of the product.

    See docs/architecture.md#law-9.
    """


@dataclass
class Told:
    """What the product told while it ran (`reconcile.Events`)."""

    session: Session
    forecast: Forecast | None = None
    refusals: tuple[Refusal, ...] = ()
    lines: list[str] = field(default_factory=list)
    steps: list[tuple[str, str]] = field(default_factory=list)
    """The steps that were started: verb and target."""
    said: list[str] = field(default_factory=list)
    """What was said while they ran, of which server or resource."""

    def _note(self, text: str) -> None:
        self.lines.append(f"{self.session.clock.monotonic():8.1f} {text}")

    def shown(self, forecast: Forecast) -> None:
        self.forecast, self.refusals = forecast, forecast.refusals

    def started(self, planned: PlannedStep) -> None:
        self.steps.append((planned.key.verb, planned.key.target))
        self._note(f"{planned.key}: {planned.because}")

    def finished(self, planned: PlannedStep, seconds: float) -> None:
        self._note(f"{planned.key} done after {seconds:.1f} s")

    def failed(self, planned: PlannedStep, error: ProductError, *, again: bool) -> None:
        self._note(f"{planned.key} {'FAILED, trying again' if again else 'FAILED'}: {error}")

    def waiting(self, wait: Wait) -> None:
        self._note(f"waiting for {wait.what}: {wait.because}")

    def refused(self, refusals: tuple[Refusal, ...]) -> None:
        self.refusals = refusals

    def say(self, name: str, what: str) -> None:
        self.said.append(f"{name} {what}")
        self._note(self.said[-1])


@dataclass(frozen=True)
class Run:
    """How a run ended: exit code (None: it was killed), what it told, what it did, how long it took (virtual s)."""

    code: ExitCode | None
    told: Told
    session: Session
    seconds: float
    error: ProductError | None = None

    @property
    def refused(self) -> tuple[str, ...]:
        """Give the codes of what it refused."""
        return tuple(refusal.code for refusal in self.told.refusals)

    @property
    def notes(self) -> tuple[str, ...]:
        """Give what it told beside what it did."""
        return self.told.forecast.notes if self.told.forecast else ()

    @property
    def differences(self) -> tuple[Difference, ...]:
        """Give in what the world was not as the file says."""
        return self.told.forecast.differences if self.told.forecast else ()

    @property
    def writes(self) -> list[str]:
        """Give everything it did that could change something outside the operator's machine."""
        return self.session.writes

    def story(self) -> str:
        """Tell the run, for the message of a failing test."""
        refusals = [f"refused {r.code}: {r.saw}" for r in self.told.refusals]
        ended = f"exit {self.code!r} {self.error or ''} after {self.seconds:.1f} s"
        return "\n".join([*self.told.lines, *refusals, ended])


async def create(
    world: World,
    spec: ClusterSpec,
    *,
    kill_at: int | str | None = None,
    machine: OperatorMachine | None = None,
    token: str = TOKEN,
    consents: Consents = NONE_GIVEN,
    skew: float = 0.0,
    holder: str = "somebody@laptop",
) -> Run:
    """Run `hetzner-k3s create`, with consents; see `World.session` for the other arguments."""
    session = world.session(spec.name, kill_at=kill_at, machine=machine, token=token, skew=skew)
    intent = Intent(verb=Verb.CREATE, addons=addons.digests(spec), consents=consents)
    return await run(world, spec, intent, session, holder=holder)


async def observed(world: World, spec: ClusterSpec, before: Run | None = None) -> ClusterState:
    """Look at a cluster as `plan` does, from where another run was made, with its token."""
    token, machine = (before.session.token, before.session.machine) if before is not None else (TOKEN, None)
    session = world.session(spec.name, machine=machine, token=token)
    lock_request = LockRequest(cluster=spec.name, holder="somebody@laptop", run=session.run)
    request = RunRequest(spec=spec, intent=_wish(spec), lock_request=lock_request)
    state, _ = await look_ahead(request, simulated.ports(session), Told(session))
    session.end()
    return state


async def plan(world: World, spec: ClusterSpec, before: Run | None = None) -> Forecast:
    """Run `hetzner-k3s plan`, from where another run was made."""
    return decide.forecast(spec, await observed(world, spec, before), _wish(spec))


def _wish(spec: ClusterSpec) -> Intent:
    return Intent(verb=Verb.CREATE, addons=addons.digests(spec))


async def delete(
    world: World, spec: ClusterSpec, *, kill_at: int | str | None = None, consents: Consents = NONE_GIVEN
) -> Run:
    """Run `hetzner-k3s delete`, agreed to, with consents."""
    intent = Intent(verb=Verb.DELETE, consents=consents)
    return await run(world, spec, intent, world.session(spec.name, kill_at=kill_at))


async def run(
    world: World,
    spec: ClusterSpec,
    intent: Intent,
    session: Session,
    ports: Ports | None = None,
    *,
    holder: str = "somebody@laptop",
) -> Run:
    """Run the loop to its end, and let nothing of it live on; `ports` take the place of the session's own."""
    told, began = Told(session), world.clock.monotonic()
    lock_request = LockRequest(cluster=spec.name, holder=holder, run=session.run)
    command = "" if intent.verb is Verb.DELETE else "create"  # as the command line has it
    request = RunRequest(spec=spec, intent=intent, lock_request=lock_request, command=command)
    work = asyncio.ensure_future(converge(request, ports or simulated.ports(session), told))
    session.moments.task = work
    code, error = await _ended(work, session)
    session.end()
    world.check()
    return Run(code, told, session, world.clock.monotonic() - began, error)


async def _ended(work: asyncio.Future[ExitCode], session: Session) -> tuple[ExitCode | None, ProductError | None]:
    done, _ = await asyncio.wait([work], timeout=LONGEST_RUN)
    if not done:
        session.moments.kill()
        await asyncio.gather(work, return_exceptions=True)
        raise NeverEnds(f"still runs after {LONGEST_RUN:.0f} virtual seconds")
    if session.moments.dead:
        await asyncio.gather(work, return_exceptions=True)
        return None, None
    try:
        return work.result(), None
    except ProductError as error:
        return error.exit_code, error
    except Killed:
        return None, None
