"""Storms and scenarios by the thousand, in processes, and what of the product they have seen at work.

Which rules, steps and refusals there are is asked of the product itself, so that a new one that no storm reaches is
told as such without anybody writing it down here.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from itertools import count, islice
from typing import Any, Final

from tests.decide.refused import CASES

from hetzner_k3s.decide import program
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model import steps

from .situations import SITUATIONS
from .storms import storm
from .story import healthy
from .test_scenarios import ALL
from .weather import weather

SCENARIOS: Final = [*ALL, *SITUATIONS]

_SCENARIO_SEED: Final = 20
_KINDS: Final = ("rules", "steps", "refusals")


@dataclass
class Passed:
    """What one storm or scenario led to: names of rules, steps, refusals and faults, how it ended, what it broke.

    Args:
        answers: what the owner did about refusals: consents, and deeds.
        kind: what the storm was about.
    """

    name: str
    rules: Counter[str] = field(default_factory=Counter)
    steps: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    kind: str = ""
    end: str = ""
    broken: str = ""


def everything() -> dict[str, frozenset[str]]:
    """Name every rule, step and refusal that there is."""
    programs = program.PROGRAM.values()
    listed = (rule for p in programs for rule in (*p.gates, *p.control_plane, *p.moves, *p.before_the_end))
    return {
        "rules": frozenset(_name(rule) for rule in listed),
        "steps": frozenset(name for name in steps.__all__ if name != "Step"),
        "refusals": frozenset(code for case in CASES.values() for code in case.codes),
    }


def _name(rule: Callable[..., Any]) -> str:
    name = getattr(rule, "__name__", type(rule).__name__)  # a rule may be an object that is called
    return f"{rule.__module__.rpartition('.')[2]}.{name}"


_SPOKEN: Counter[str] = Counter()
"""Rules of this process that had something to say: a gate refused, a move wanted steps or waits."""


@contextmanager
def _listening() -> Iterator[None]:
    """Have every rule told when it has something to say; afterwards the rules are as they were, for other tests."""
    complete = program.PROGRAM
    try:
        program.PROGRAM = {key: _listened_to(p) for key, p in complete.items()}
        yield
    finally:
        program.PROGRAM = complete


def _listened_to(listed: Any) -> Any:
    return replace(
        listed,
        gates=tuple(map(_heard, listed.gates)),
        control_plane=tuple(map(_heard, listed.control_plane)),
        moves=tuple(map(_heard, listed.moves)),
        before_the_end=tuple(map(_heard, listed.before_the_end)),
    )


def _heard(rule: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(rule)
    def heard(context: Any) -> Any:
        said = rule(context)
        if said and (isinstance(said, tuple) or said.steps or said.waits):
            _SPOKEN[_name(rule)] += 1
        return said

    return heard


def _noted(passed: Passed, work: Callable[[Passed], None]) -> Passed:
    """Do something and note which rules spoke; a crash of the tool or of the simulation is one of its ends."""
    _SPOKEN.clear()
    try:
        with _listening():
            work(passed)
    except Exception:  # noqa: BLE001  a crash is a result to be told
        passed.broken = traceback.format_exc(limit=-4)
    passed.rules.update(_SPOKEN)
    return passed


def let_pass(seed: int, *, adopted: bool = False) -> Passed:
    """Let the storm of a seed pass."""

    def work(passed: Passed) -> None:
        told = run(storm(seed, adopted=adopted))
        for one in told.runs:
            passed.steps.update(verb.partition(" ")[0] for verb, _target in one.told.steps)
            passed.refusals.update(one.refused)
        passed.faults.update(type(fault).__name__ for fault in told.struck)
        passed.answers.update(answer.flag for answer in told.answered)
        passed.kind = told.weather.about
        passed.end = told.stands or "as the file says"
        passed.broken = "; ".join(told.broken)

    return _noted(Passed(f"seed {seed}"), work)


def play(number: int) -> Passed:
    """Play a scenario, by its place among all."""
    scenario = SCENARIOS[number]

    def work(passed: Passed) -> None:
        async def whole() -> None:
            async with healthy(_SCENARIO_SEED, scenario.spec) as story:
                await scenario.play(story)
                for one in story.runs:
                    passed.steps.update(verb.partition(" ")[0] for verb, _target in one.told.steps)
                    passed.refusals.update(one.refused)

        run(whole())
        passed.end = "as written"

    return _noted(Passed(f"scenario {scenario.id}"), work)


def storms(first: int, seeds: int, processes: int | None = None, *, adopted: bool = False) -> Iterator[Passed]:
    """Let many storms pass, on every processor; with `adopted`, those of the next seeds that can be of 2.x."""
    if adopted:
        fit = (seed for seed in count(first) if weather(Chance(seed, "storm"), adopted=1.0).from_2x)
        yield from _spread(partial(let_pass, adopted=True), list(islice(fit, seeds)), processes)
    else:
        yield from _spread(let_pass, range(first, first + seeds), processes)


def scenarios(processes: int | None = None) -> Iterator[Passed]:
    """Play all scenarios, on every processor."""
    yield from _spread(play, range(len(SCENARIOS)), processes)


def _spread(work: Callable[[int], Passed], numbers: Sequence[int], processes: int | None) -> Iterator[Passed]:
    with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
        yield from pool.map(work, numbers, chunksize=4)


@dataclass
class Seen:
    """What many storms and scenarios have seen together."""

    counted: dict[str, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in _KINDS})

    def add(self, passed: Passed) -> None:
        """Add what one of them led to."""
        for kind in _KINDS:
            self.counted[kind].update(getattr(passed, kind))

    def never(self) -> dict[str, list[str]]:
        """Name what there is and nobody has seen."""
        return {kind: sorted(names - self.counted[kind].keys()) for kind, names in everything().items()}

    def told(self) -> list[str]:
        """Tell how much was seen of what there is, a line a kind."""
        there = everything()
        return [f"{len(names) - len(self.never()[kind])} of {len(names)} {kind} seen" for kind, names in there.items()]
