"""Random storms: faults strike while runs of the tool come, go and are killed, and an owner answers what it refuses.

Every storm ends the same way: what its owner would undo is undone, the tool runs again, and each refusal is answered
with what the refusal itself says. The cluster must then be as the file says, with everything that no consent gave up;
or the tool stands at the one refusal that a loss leaves, and the place proves that loss.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.faults import Fault
from hetzner_k3s.lab.simulated.faults_k3s import TokenRotated
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.k3s import saving
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.consents import Adopt, Consents, Prune
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import clusters_of_2x, expectation, invariants, mischief, owner, spoiling, strikes, tool
from .expectation import Expectation
from .owner import Answer
from .story import write_user_objects
from .tool import Run
from .weather import Weather, weather

_REST: Final = 45.0
_LAST_RUNS: Final = 16
_FAILURES: Final = 5
_STORM_SECONDS: Final = 150.0
_USERS: Final = "/registry/configmaps/default/"
_GIVEN_UP: Final = re.compile(r"(\S+) is of the cluster that was given up")


@dataclass
class Storm:
    """One storm and how it ended: `strikes` tells what struck when, `broken` which invariants did not hold."""

    seed: int
    weather: Weather
    chance: Chance
    expected: Expectation = field(default_factory=Expectation)
    runs: list[Run] = field(default_factory=list)
    strikes: list[str] = field(default_factory=list)
    struck: list[Fault] = field(default_factory=list)
    left: list[Fault] = field(default_factory=list)
    """What struck and was not undone."""
    answered: list[Answer] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    stands: str = ""
    """The refusal at which it ended, if it did."""
    touched: set[str] = field(default_factory=set)
    """Servers that the owner deleted or whose k3s they started anew, as they were told."""

    def story(self) -> str:
        """Tell it."""
        runs = [f"--- run {number}\n{run.story()}" for number, run in enumerate(self.runs, start=1)]
        told = [f"seed {self.seed}, {self.weather.told()}", *self.strikes]
        return "\n".join([*told, *runs, *(f"BROKEN {text}" for text in self.broken)])

    @property
    def left_to_undo(self) -> bool:
        """Tell whether something lasts that an owner can undo."""
        return any(isinstance(fault, strikes.STAYS) for fault in self.left)

    @property
    def base(self) -> Consents:
        """Give the consents that every run is given."""
        return Consents.of(Prune()) if self.weather.prunes else Consents()


async def storm(seed: int, *, spoiled: float = 0.0, adopted: bool = False) -> Storm:
    """Let one storm pass; `spoiled` is the share of answers, from either API, that come otherwise while it lasts.

    `adopted`: over a cluster of 2.x, if it can be.
    """
    chance = Chance(seed, "storm")
    told = Storm(seed, weather(chance, adopted=1.0) if adopted else weather(chance), chance)
    async with world(seed) as place:
        if told.weather.was is not None:
            await _born(place, told)
        for fault in told.weather.first:
            await _strike_one(place, fault, told)
        storm_over = asyncio.ensure_future(_strike(place, told))
        user = asyncio.ensure_future(_write(place, told))
        place.obstacles += spoiling.at_random(chance.fork("spoiled"), spoiled)
        await _runs(place, told)
        place.obstacles.clear()
        await storm_over
        await _heal(place, told)
        await asyncio.sleep(_REST)
        user.cancel()
        await _last_runs(place, told)
        place.check()
    return told


async def _born(place: World, told: Storm) -> None:
    """Give birth to a cluster, with some of a user's objects in it and a snapshot of them, and let it come to rest."""
    assert told.weather.was is not None
    birth = await tool.create(place, told.weather.was)
    assert birth.code is ExitCode.CONVERGED, birth.story()
    told.runs.append(birth)
    await asyncio.sleep(_REST)
    await write_user_objects(place)
    if told.weather.from_2x:
        await _adopted(place, told, told.weather.was)
    if told.weather.was.etcd.s3 is not None:
        server = mischief.leading(place)
        disk = server.disk
        saving.save(server, config_file.flags("server", disk.config, arguments=disk.unit_arguments), saving.SCHEDULED)
    told.expected.picture = invariants.picture(place)
    told.expected.births = told.expected.picture.births


async def _adopted(place: World, told: Storm, spec: ClusterSpec) -> None:
    """Make the cluster one of 2.x, and adopt it; nothing else is done before the storm."""
    await clusters_of_2x.make_of_2x(place)
    consents = Consents.of(Adopt(clusters_of_2x.ca8(place)))
    told.runs.append(await tool.create(place, spec, consents=consents))
    assert told.runs[-1].code is ExitCode.CONVERGED, told.runs[-1].story()


async def _write(place: World, told: Storm) -> None:
    """Have a user write now and then; what is acknowledged is expected to stay. Never returns.

    Two living clusters would both acknowledge, so nothing is written while there are two.
    """
    number, chance = 0, told.chance.fork("user")
    while True:
        await asyncio.sleep(chance.uniform(5, 40))
        if told.expected.split or told.expected.picture is None:
            continue
        name, number = f"storm-{number}", number + 1
        with suppress(ApiError, EtcdError):
            await _write_one(place, told, name)


async def _write_one(place: World, told: Storm, name: str) -> None:
    servers = (host.server for host in place.site.hosts.values())
    leading = next((s for s in servers if s is not None and s.store is not None and s.etcd and s.etcd.leads), None)
    if leading is None or leading.store is None:
        return
    await leading.store.create(CONFIGMAPS, {"metadata": {"name": name}, "data": {"text": name}}, "default")
    data = invariants.leading_data(place)
    if data is not None and f"{_USERS}{name}" in data.keys:
        told.expected.written(f"{_USERS}{name}", data.keys[f"{_USERS}{name}"].value)


async def _strike(place: World, told: Storm) -> None:
    """Let faults strike, one after another."""
    chance = told.chance.fork("faults")
    for fault in told.weather.later:
        await asyncio.sleep(chance.uniform(0, _STORM_SECONDS / 3))
        await _strike_one(place, fault, told)


async def _strike_one(place: World, fault: Fault, told: Storm) -> None:
    if fault.possible(place):
        told.strikes.append(f"{place.clock.monotonic():8.1f} {fault}")
        told.struck.append(fault)
        told.left.append(fault)
        told.expected.before(fault)
        await fault.strike(place)
        told.expected.after(place, fault)


async def _heal(place: World, told: Storm, *, everything: bool = False) -> None:
    """Undo what the owner would undo, the latest first; what is lost stays lost."""
    for fault in reversed(told.left):
        waits = isinstance(fault, strikes.STAYS) and not everything and not told.chance.happens(told.weather.patient)
        if isinstance(fault, strikes.DATA_LOST) or waits:
            continue
        told.strikes.append(f"{place.clock.monotonic():8.1f} {fault} heals")
        told.left.remove(fault)
        await fault.heal(place)


# --- runs within the storm


async def _runs(place: World, told: Storm) -> None:
    """Run the tool while the storm goes on: killed or not, one after another or two operators at once."""
    chance, spec = told.chance, told.weather.wish
    for _ in range(1 + int(chance.uniform(0, 2))):
        kill_at = 1 + int(chance.uniform(0, 120)) if chance.happens(0.4) else None
        first = tool.create(place, spec, kill_at=kill_at, consents=await _meanwhile(place, told))
        machine = OperatorMachine("other")
        others = [tool.create(place, spec, machine=machine, consents=told.base)] if chance.happens(0.15) else []
        told.runs += await asyncio.gather(first, *others)
        told.broken += told.expected.always(place)
        await asyncio.sleep(chance.uniform(0, 30))


async def _meanwhile(place: World, told: Storm) -> Consents:
    """Give the consents of a run in the middle of the storm: what the run before asked for, or none."""
    last = told.runs[-1] if told.runs else None
    if last is None or last.code is not ExitCode.REFUSED or not told.chance.happens(0.5):
        return told.base
    answer = _answer(told, last)
    if answer is None or answer.consents is None:
        return told.base
    return _consent(place, told, answer)


def _answer(told: Storm, run: Run) -> Answer | None:
    """Choose one of the answers that a refusal offers; None where there is none for this owner."""
    offered = [a for a in owner.answers(run.told.refusals) if _would(told, a)]
    consents = [a for a in offered if a.consents is not None]
    return told.chance.choice(consents) if consents else next(iter(offered), None)


def _would(told: Storm, answer: Answer) -> bool:
    if answer.flag in {"--accept-ca", "restart agent"}:
        return any(isinstance(fault, strikes.CaRotated) for fault in told.struck)
    return answer.flag != "--new-cluster-over" or told.weather.gives_up


def _consent(place: World, told: Storm, answer: Answer) -> Consents:
    assert answer.consents is not None
    told.strikes.append(f"{place.clock.monotonic():8.1f} {answer.flag} {answer.target}")
    told.answered.append(answer)
    told.expected.consented(place, answer)
    return answer.consents.adding(Prune()) if told.weather.prunes else answer.consents


# --- the last runs


async def _last_runs(place: World, told: Storm) -> None:
    """Run the tool to the end, with what it asks for, killed now and then."""
    consents, failures = told.base, 0
    for _ in range(_LAST_RUNS):
        asked = consents != told.base and told.chance.happens(0.4)
        run = await _run(place, told, consents, 1 + int(told.chance.uniform(0, 120)) if asked else None)
        if run.code is ExitCode.CONVERGED:
            if consents == told.base and await _whole(place, told, run):
                return
            consents = told.base  # what a consent was for is done; the next run needs none
        elif run.code is ExitCode.PENDING and consents != told.base:
            consents = told.base  # a new cluster was initialized, and the old one's workers are left
        elif run.code is not None:
            answered = await _answered(place, told, run, consents)
            if told.stands:
                return
            failures += answered is None
            consents = consents if answered is None else answered
        if failures > _FAILURES:
            break
    told.broken.append(f"never converged: exit {run.code} {run.error or ''} {run.refused}")


async def _run(place: World, told: Storm, consents: Consents, kill_at: int | None = None) -> Run:
    run = await tool.create(place, told.weather.wish, consents=consents, kill_at=kill_at)
    told.runs.append(run)
    told.broken += told.expected.always(place)
    return run


async def _answered(place: World, told: Storm, run: Run, consents: Consents) -> Consents | None:
    """Answer a refusal; give the consents of the next run, None where all that was left is to undo and to wait."""
    if "consent.unfit" in run.refused and consents != told.base:
        return told.base  # it was acted on before, or it is not so any more
    undo = told.left_to_undo
    patient = undo and told.chance.happens(told.weather.patient)
    answer = _answer(told, run) if run.refused and not patient else None
    if answer is None:
        told.stands = _proven(place, told, run) if run.refused and not undo else ""
        await _patience(place, told)
        return None
    if answer.consents is not None:
        return _consent(place, told, answer)
    told.strikes.append(f"{place.clock.monotonic():8.1f} {answer.flag} {answer.target}")
    told.answered.append(answer)
    told.touched |= {await owner.do(place, answer)}
    return consents


async def _patience(place: World, told: Storm) -> None:
    await _heal(place, told, everything=True)
    await asyncio.sleep(_REST)


def _proven(place: World, told: Storm, run: Run) -> str:
    """Give the refusal at which a storm may end: the place shows that nothing is left to bring it back from."""
    uid = told.expected.picture.uid if told.expected.picture else None
    stored = set(expectation.snapshots_of(place, uid)) if told.weather.wish.etcd.s3 else set()
    ends = {"masters.all-lost": not stored, "restore.no-token": not stored & expectation.tokens_at_hand(place)}
    proven = expectation.all_data_is_gone(place) and [code for code in run.refused if ends.get(code)]
    return proven[0] if proven and set(run.refused) == set(proven) else ""


# --- the end


async def _whole(place: World, told: Storm, run: Run) -> bool:
    """Ask all invariants of a cluster that the tool calls whole; False where its owner has something left to do."""
    if told.left_to_undo:
        await _patience(place, told)
        return False
    old = [name for name in _GIVEN_UP.findall(" ".join(run.notes)) if place.server(name) is not None]
    if old or (_shrinks(told) and not told.weather.prunes):
        for name in old:
            told.touched |= {await owner.do(place, Answer("delete server", name))}
        told.weather = replace(told.weather, prunes=not old or told.weather.prunes)
        return False
    told.broken += told.expected.converged(place, told.weather.wish, _touched(told))
    told.broken += invariants.secrets_kept(place, told.runs)
    told.broken += invariants.second_run(await _run(place, told, told.base))
    await _misfit(place, told)
    return True


def _shrinks(told: Storm) -> bool:
    was, wish = told.weather.was, told.weather.wish
    return was is not None and not {s.name for s in was.servers()} <= {s.name for s in wish.servers()}


def _touched(told: Storm) -> set[str]:
    """Name the servers that may be other ones, or whose k3s may have been started anew."""
    if any(isinstance(fault, TokenRotated) for fault in told.struck):
        return {s.name for s in told.weather.wish.servers()}  # its owner has restarted every master
    followed = any(isinstance(fault, strikes.SecondCluster) for fault in told.struck)
    agents = {w.name for w in told.weather.wish.workers()} if followed else set()  # they know its masters only
    discarded = {answer.target for answer in told.answered if answer.flag == "--replace"}
    return told.touched | discarded | agents | {getattr(fault, "name", "") for fault in told.struck}


async def _misfit(place: World, told: Storm) -> None:
    """Give a consent that does not fit, now and then: it is refused, and nothing is done."""
    picture = told.expected.picture
    if picture is None or not told.chance.happens(0.2):
        return
    given = owner.needless(told.chance, picture.ca, told.weather.wish.master_names)
    if told.chance.happens(0.5):
        given = owner.wrong(told.chance)
    run = await tool.create(place, told.weather.wish, consents=given)
    told.runs.append(run)
    began_anew = {"--restore", "--reset-quorum-from"} & {answer.flag for answer in told.answered}
    acted_on = run.code is ExitCode.CONVERGED and began_anew
    if run.writes or ("consent.unfit" not in run.refused and not acted_on):
        told.broken.append(f"{given} was not refused: {run.story()}")
