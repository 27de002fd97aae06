"""Every start state of control planes of one and three masters is decided; of five a sample, or all when asked for."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from tests.conftest import Tell
from tests.decide.world import CREATE
from tests.properties.safety import violations
from tests.properties.start_states import Start, count, starts
from tests.properties.test_decisions import shuffled
from tests.properties.walking import waves, what_is_unexplained

from hetzner_k3s import decide
from hetzner_k3s.model.plan import Plan, Refusal

ALL = "HETZNER_K3S_ALL_START_STATES"
"""Set in the environment, every start state of five masters is walked too (about a quarter of an hour)."""

SAMPLE = 1_500


def _in_any_order(plan: Plan) -> tuple[list[str], list[str], Counter[Refusal]]:
    return sorted(map(repr, plan.steps)), sorted(map(repr, plan.waits)), Counter(plan.refusals)


def _wrong(start: Start, chance: random.Random) -> tuple[str, list[str]]:
    """Say how a start state is decided, and what is wrong about that."""
    walked = list(waves(start.spec, start.state))
    first, (state, last) = walked[0][1], walked[-1]
    wrong = [text for seen, plan in walked for text in violations(start.spec, seen, plan)]
    if last.steps:
        wrong.append(f"steps that change nothing: {[step.key for step in last.steps]}")
    if last.settled and (missing := what_is_unexplained(start.spec, state, last)):
        wrong.append(f"nothing is left to do, but {missing}")
    again = decide.plan(start.spec, shuffled(start.state, chance), CREATE)
    if _in_any_order(again) != _in_any_order(first):
        wrong.append("another order of what was read gives another plan")
    if first.refusals:
        return "refused", wrong
    return "waits" if first.waits else "steps" if first.steps else "nothing to do", wrong


def _walk(masters: int, walked: list[Start], tell: Tell) -> None:
    chance, ends, found = random.Random(1), Counter[str](), []
    for start in walked:
        end, wrong = _wrong(start, chance)
        ends[end] += 1
        found += [f"{start}: {text}" for text in wrong]
    told = ", ".join(f"{number} {end}" for end, number in sorted(ends.items()))
    tell(f"{masters} masters: {len(walked)} of {count(masters)} start states walked: {told}")
    assert not found, "\n".join([f"{len(found)} are wrong, among them:", *found[:20]])


@pytest.mark.parametrize("masters", [1, 3])
def test_every_start_state_is_decided(masters: int, tell: Tell) -> None:
    _walk(masters, list(starts(masters)), tell)


def test_start_states_of_five_masters_are_decided(tell: Tell) -> None:
    whole = count(5)
    numbers = set(range(whole) if os.environ.get(ALL) else random.Random(5).sample(range(whole), SAMPLE))
    _walk(5, list(starts(5, numbers.__contains__)), tell)
