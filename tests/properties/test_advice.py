"""No two refusals contradict each other, and each consent that is advised can be given: in every world.

Refusals say as data what they advise (`Refusal.ways`) and forbid; the words are held against that as well.
"""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.decide.agreement import contradictions, followed, in_vain, undeclared
from tests.decide.world import CREATE, a_spec, codes, healthy
from tests.properties.quarrels import Quarrel, quarrels
from tests.properties.start_states import count, starts
from tests.properties.walking import run
from tests.properties.worlds import MASTER, World, anything

from hetzner_k3s import decide
from hetzner_k3s.model.consents import Consents, Replace
from hetzner_k3s.model.plan import Intent, Plan
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState

QUARRELS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WALKS = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SAMPLE = 120


@QUARRELS
@given(quarrels())
def test_refusals_of_any_world_agree(world: Quarrel) -> None:
    plan = decide.plan(world.spec, world.state, world.intent)
    event(f"{min(len(plan.refusals), 6)} refusals")
    assert _wrong(world.spec, world.state, world.intent) == []


@WALKS
@given(anything(), st.randoms(use_true_random=False))
def test_refusals_on_any_walk_agree(world: World, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance):
        assert not plan.refusals or _wrong(world.spec, state, CREATE) == []


@pytest.mark.parametrize("masters", [1, 3])
def test_refusals_of_start_states_agree(masters: int) -> None:
    whole = count(masters)
    chosen = set(random.Random(masters).sample(range(whole), min(whole, SAMPLE)))
    wrong = [f"{s}: {text}" for s in starts(masters, chosen.__contains__) for text in _wrong(s.spec, s.state, CREATE)]
    assert not wrong, "\n".join([f"{len(wrong)} are wrong, among them:", *wrong[:20]])


def _wrong(spec: ClusterSpec, state: ClusterState, intent: Intent) -> list[str]:
    """Say what is wrong with the advice given in a state, and with that given where it was followed."""
    first = decide.plan(spec, state, intent)
    advice = followed(spec, state, intent, first.refusals)
    return [text for plan in (first, *(after for *_, after in advice)) for text in _quarrels(plan)] + in_vain(advice)


def _quarrels(plan: Plan) -> list[str]:
    told = [f"{one} and {other}: {what}" for one, other, what in contradictions(plan.refusals)]
    return told + [f"{r.code}: {what} of {r.you_can!r}" for r in plan.refusals for what in undeclared(r)]


def test_what_does_not_fit_now_is_not_advised_beside_its_refusal() -> None:
    """Found by chance: `--replace` of a former master was refused as unfit and advised in the same breath."""
    spec = a_spec(5)
    state = healthy(spec)
    for name in ("prod-master1", "prod-master5"):
        state = MASTER["not recorded and silent"](state, spec, name)
    state = MASTER["stopped"](state, spec, "prod-master2")
    intent = replace(CREATE, consents=Consents.of(Replace("prod-master2")))
    assert codes(state, spec, intent) == ["master.former", "consent.unfit"]
    assert _wrong(spec, state, intent) == []
