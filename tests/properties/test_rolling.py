"""Worlds in which hosts run with another configuration than the file's: with `--rollout` and without, and troubles."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.decide import world as w
from tests.properties.safety import violations
from tests.properties.walking import run
from tests.properties.worlds import MASTER, WORKER, quorum_lost

from hetzner_k3s import decide
from hetzner_k3s.decide.differences import differences
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view.context import context_of
from hetzner_k3s.model.consents import Consents, Rollout
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ReconfigureMaster, ReconfigureWorker, StageK3s, UncordonNode, UnmarkMember

OLDER = "v1.36.2+k3s1"
WALKS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, slots=True)
class Rolling:
    """A cluster whose hosts differ from its file, what the user named, and the sentence that made it."""

    spec: ClusterSpec
    state: ClusterState
    named: str | None
    told: str

    @property
    def intent(self) -> Intent:
        """Return what the user asked for."""
        given = Consents.of(Rollout(self.named)) if self.named else Consents()
        return replace(w.CREATE, consents=given)

    def __repr__(self) -> str:
        """Say it in words."""
        return f"Rolling({self.told})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


@st.composite
def rolling(draw: st.DrawFn) -> Rolling:
    """Draw a cluster of which some hosts differ, some masters are off the balancer, and at most one thing is wrong."""
    spec = replace(
        w.a_spec(draw(st.sampled_from([1, 2, 3, 3, 5])), 3), k3s_upgrade_concurrency=draw(st.sampled_from([1, 1, 2]))
    )
    names = [server.name for server in spec.servers()]
    differing = draw(st.lists(st.sampled_from(names), unique=True))
    state = w.configured_otherwise(w.healthy(spec), *differing)
    told = [f"{name} differs" for name in differing]
    for name in draw(st.lists(st.sampled_from(names), unique=True)) if draw(st.booleans()) else ():
        state, told = w.running_release(state, name, OLDER), [*told, f"{name} runs {OLDER}"]
    if draw(st.booleans()):
        for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
            change = draw(st.sampled_from([w.bought_as, w.made_from]))
            state, told = change(state, "another", name), [*told, f"{name} {change.__name__}"]
    for name in draw(st.lists(st.sampled_from(spec.master_names), max_size=1)):
        state, told = w.unmarked(state, name), [*told, f"{name} is off the balancer"]
    for name in draw(st.lists(st.sampled_from(names), max_size=1)):
        table = MASTER if name in spec.master_names else WORKER
        what = draw(st.sampled_from(list(table)))
        state, told = table[what](state, spec, name), [*told, f"{name} {what}"]
    state = w.without_quorum(state) if quorum_lost(state) else state
    named = draw(st.sampled_from([None, "all", "all", "masters", "small", *names]))
    return Rolling(spec, state, named, ", ".join([*told, f"--rollout {named}"]))


@WALKS
@given(rolling(), st.randoms(use_true_random=False))
def test_no_step_of_a_rollout_is_unsafe(world: Rolling, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance, world.intent):
        assert violations(world.spec, state, plan) == []


@WALKS
@given(rolling(), st.randoms(use_true_random=False))
def test_a_rollout_ends_with_what_was_named_as_the_file_says_or_was_refused(
    world: Rolling, chance: random.Random
) -> None:
    *_, (state, plan) = run(world.spec, world.state, chance, world.intent)
    event("refused" if plan.refusals else "converged")
    assert plan.refusals or plan.settled
    if world.named == "all" and plan.settled:
        left = selection.told(context_of(world.spec, state, world.intent, frozenset()))
        assert not [one for one in left if one.rolled_out]


@WALKS
@given(rolling(), st.randoms(use_true_random=False))
def test_a_rollout_is_the_one_that_was_shown(world: Rolling, chance: random.Random) -> None:
    shown = decide.forecast(world.spec, world.state, world.intent).keys
    for _, plan in run(world.spec, world.state, chance, world.intent):
        assert {step.key for step in plan.steps} <= shown


@WALKS
@given(rolling(), st.randoms(use_true_random=False))
def test_never_more_at_a_time_than_the_file_says(world: Rolling, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance, world.intent):
        masters = [p for p in plan.steps if isinstance(p.step, ReconfigureMaster)]
        workers = [p for p in plan.steps if isinstance(p.step, ReconfigureWorker)]
        assert len(masters) <= 1
        assert not (masters and len(plan.steps) > 1)
        assert not (workers and any(one.subject in world.spec.master_names for one in _upgrades(world, state)))
        assert len(workers) <= world.spec.k3s_upgrade_concurrency


def _upgrades(world: Rolling, state: ClusterState) -> list[Difference]:
    """Return which servers of those that were named still wait for the file's k3s."""
    if world.named != "all":
        return []
    context = context_of(world.spec, state, world.intent, frozenset())
    return [one for one in differences(context) if one.remedy is Remedy.UPGRADE]


@WALKS
@given(rolling())
def test_without_the_flag_nothing_is_restarted(world: Rolling) -> None:
    plan = decide.plan(world.spec, world.state, w.CREATE)
    restarts = (ReconfigureMaster, ReconfigureWorker, UnmarkMember, StageK3s)
    assert not [p.key for p in plan.steps if isinstance(p.step, restarts)]


def test_the_node_of_the_server_before_is_not_taken_back() -> None:
    """A successor that was up before the old Node was gone had that Node uncordoned, which no plan had shown."""
    spec = w.a_spec(1, 3)
    worker = spec.workers()[0].name
    state = w.made_from(w.healthy(spec), "another", worker)
    intent = replace(w.CREATE, consents=Consents.of(Rollout(worker)))
    for seed in range(40):
        steps = {step.key.kind for _, plan in run(spec, state, random.Random(seed), intent) for step in plan.steps}
        assert UncordonNode not in steps
