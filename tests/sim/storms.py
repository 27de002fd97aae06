"""Random storms: faults strike a birth or a living cluster while runs of the tool come, go and are killed.

Every storm ends the same way: everything heals as far as its owner can heal it, the tool runs again, and the cluster
must be as the file says, or the tool must stand at a refusal that this loss explains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.faults import ApiFault, Fault, ServerDeleted
from hetzner_k3s.lab.simulated.faults_k3s import ClockSkewed, DatastoreFull, TokenRotated
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, tool
from .clusters import a_spec
from .invariants import Picture
from .story import write_user_objects
from .tool import Run

_REST = 45.0
_LAST_RUNS = 4
_STORM_SECONDS = 150.0
_LOST_TOO_MUCH = frozenset({"masters.none-healthy", "masters.all-lost", "member.removal-unsafe", "quorum.lost"})
"""What the tool may refuse for good when a quorum's data was lost: only its user can say what may be given up."""

_HOST_FAULTS: tuple[Callable[[str], Fault], ...] = (
    faults.ServerDeleted,
    faults.AddressReused,
    faults.PoweredOff,
    faults.Rebooted,
    faults.Rebuilt,
    faults.DatabaseDeleted,
    faults.K3sKilled,
    faults.SshSilent,
    faults.SshDenied,
    faults.SshCut,
    faults.Slow,
    faults.Frozen,
    faults.CutOff,
    TokenRotated,
    ClockSkewed,
    DatastoreFull,
)


@dataclass
class Storm:
    """One storm and how it ended: `strikes` tells what struck when, `broken` which invariants did not hold."""

    seed: int
    runs: list[Run] = field(default_factory=list)
    strikes: list[str] = field(default_factory=list)
    struck: list[Fault] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    quorum_lost: bool = False
    """Whether the data of a majority of the voters is gone, or of all that a birth had got so far."""

    def story(self) -> str:
        """Tell it."""
        runs = [f"--- run {number}\n{run.story()}" for number, run in enumerate(self.runs, start=1)]
        return "\n".join([f"seed {self.seed}", *self.strikes, *runs, *(f"BROKEN {text}" for text in self.broken)])


async def storm(seed: int) -> Storm:
    """Let one storm pass."""
    chance, told, spec = Chance(seed, "storm"), Storm(seed), a_spec(workers=1)
    async with world(seed) as place:
        before = await born(place, spec, told) if chance.happens(0.7) else None
        faults_left = [a_fault(spec, chance) for _ in range(1 + int(chance.uniform(0, 3)))]
        if before is not None:  # a run on a healthy cluster is over before anything could strike it
            lost = ServerDeleted(chance.choice(spec.master_names))
            await _strike_one(place, lost if chance.happens(0.5) else faults_left.pop(), told)
        storm_over = asyncio.ensure_future(strike(place, faults_left, chance, told))
        await _runs(place, spec, chance, told, before)
        await storm_over
        for fault in reversed(told.struck):
            await fault.heal(place)
            told.quorum_lost |= invariants.quorum_lost(place)
        await asyncio.sleep(_REST)
        await _last_runs(place, spec, told, before)
        place.check()
    return told


async def born(place: World, spec: ClusterSpec, told: Storm) -> Picture:
    """Give birth to a cluster, with some of a user's objects in it, and let it come to rest."""
    birth = await tool.create(place, spec)
    assert birth.code is ExitCode.CONVERGED, birth.story()
    told.runs.append(birth)
    await asyncio.sleep(_REST)
    await write_user_objects(place)
    return invariants.picture(place)


async def strike(place: World, left: list[Fault], chance: Chance, told: Storm) -> None:
    """Let faults strike, one after another."""
    for fault in left:
        await asyncio.sleep(chance.uniform(0, _STORM_SECONDS / 3))
        await _strike_one(place, fault, told)


async def _strike_one(place: World, fault: Fault, told: Storm) -> None:
    if fault.possible(place):
        told.strikes.append(f"{place.clock.monotonic():8.1f} {fault}")
        told.struck.append(fault)
        await fault.strike(place)
        told.quorum_lost |= invariants.quorum_lost(place)


def a_fault(spec: ClusterSpec, chance: Chance) -> Fault:
    """Draw a fault."""
    if chance.happens(0.25):
        return _api_fault(chance)
    return chance.choice(_HOST_FAULTS)(chance.choice([s.name for s in spec.servers()]))


def _api_fault(chance: Chance) -> Fault:
    method = chance.choice(("POST", "PUT", "DELETE", "GET"))
    times = 1 + int(chance.uniform(0, 4))
    if chance.happens(0.5):
        code = chance.choice(("server_error", "timeout", "rate_limit_exceeded", "conflict", "locked", "unavailable"))
        return ApiFault("error", method=method, code=code, times=times)
    effect = chance.choice(("drop", "delay", "incomplete_page"))
    return ApiFault(effect, method="GET" if effect == "incomplete_page" else method, times=times, seconds=20.0)


async def _runs(place: World, spec: ClusterSpec, chance: Chance, told: Storm, before: Picture | None) -> None:
    """Run the tool while the storm goes on: killed or not, one after another or two operators at once."""
    for _ in range(1 + int(chance.uniform(0, 2))):
        kill_at = 1 + int(chance.uniform(0, 120)) if chance.happens(0.4) else None
        first = tool.create(place, spec, kill_at=kill_at)
        others = [tool.create(place, spec, machine=OperatorMachine("other"))] if chance.happens(0.15) else []
        told.runs += await asyncio.gather(first, *others)
        told.broken += invariants.always(place, before)
        await asyncio.sleep(chance.uniform(0, 30))


async def _last_runs(place: World, spec: ClusterSpec, told: Storm, before: Picture | None) -> None:
    for _ in range(_LAST_RUNS):
        run = await tool.create(place, spec)
        told.runs.append(run)
        told.broken += invariants.always(place, before)
        if run.code is ExitCode.CONVERGED:
            told.broken += _converged(place, spec, told, before)
            return
        if _excused(run, told, place, spec):
            return
        await asyncio.sleep(_REST)
    told.broken.append(f"never converged: exit {run.code} {run.error or ''} {run.refused}")


def _converged(place: World, spec: ClusterSpec, told: Storm, before: Picture | None) -> list[str]:
    """Ask all invariants but those about servers that the storm itself deleted or started anew."""
    touched = [s.name for s in spec.servers() if any(getattr(f, "name", None) == s.name for f in told.struck)]
    if any(isinstance(fault, TokenRotated) for fault in told.struck):
        touched = [s.name for s in spec.servers()]  # its owner has restarted every master
    return invariants.converged(place, spec, before, lost=touched)


def _excused(run: Run, told: Storm, place: World, spec: ClusterSpec) -> bool:
    """Tell whether the tool stands where it may stand for good today."""
    lost = {code for code in run.refused if code in _LOST_TOO_MUCH or code.startswith("restore.")}
    explained = run.code is ExitCode.REFUSED and bool(run.refused) and lost == set(run.refused)
    known = [*invariants.evicted_joiners(place), *invariants.half_begun_births(place, spec)]
    return (told.quorum_lost and explained) or bool(known)
