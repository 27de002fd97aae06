"""What must hold of the way a forecast shows, and of every place on it at which a run may be cut off."""

from __future__ import annotations

import random

from bench import plan as bench
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.conftest import Tell
from tests.decide.world import CREATE
from tests.properties.walking import run, what_is_unexplained
from tests.properties.worlds import World, anything

from hetzner_k3s import decide
from hetzner_k3s.decide.forecast import predict, predict_together

WALKS = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@WALKS
@given(anything(), st.randoms(use_true_random=False))
def test_any_prefix_of_a_run_and_then_another_run_converges(world: World, chance: random.Random) -> None:
    """A run that is killed leaves the steps that ended; what was under way is as if it had never begun."""
    whole = list(run(world.spec, world.state, chance))
    assume(not any(plan.refusals for _, plan in whole))
    cut_off, _ = chance.choice(whole)
    state, plan = list(run(world.spec, cut_off, chance))[-1]
    assert plan.settled, (plan, world)
    assert what_is_unexplained(world.spec, state, plan) == []


@WALKS
@given(anything(), st.randoms(use_true_random=False))
def test_steps_predicted_together_lead_where_they_lead_one_after_another(world: World, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance):
        steps = [planned.step for planned in plan.steps]
        one_by_one = state
        for step in steps:
            one_by_one = predict(world.spec, one_by_one, step)
        together = predict_together(world.spec, state, steps)
        assert decide.plan(world.spec, together, CREATE) == decide.plan(world.spec, one_by_one, CREATE)
        assert {s.id: s for s in together.view.servers} == {s.id: s for s in one_by_one.view.servers}
        assert together.hosts == one_by_one.hosts


def test_a_thousand_nodes_take_as_many_waves_as_ten(tell: Tell) -> None:
    """How long that takes is told and not asserted (bench/plan.py): machines that run tests are shared."""
    whole, once, waves = bench.measure(bench.a_spec(1000))
    tell(
        f"1,000 nodes: one plan {once:.3f} s, the forecast from nothing {whole:.2f} s "
        "(budget: 0.2, docs/architecture.md#budgets)"
    )
    assert waves == bench.measure(bench.a_spec(10))[2]
