"""Worlds whose file wants less than there is: with `--prune` and without, whatever is wrong beside it."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.decide import world as w
from tests.properties.safety import dangers, violations
from tests.properties.test_decisions import forgetting
from tests.properties.walking import run
from tests.properties.worlds import MASTER, WORKER, quorum_lost

from hetzner_k3s import decide
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.plan import Intent, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DrainNode

WALKS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True, slots=True)
class Shrinking:
    """A smaller wish, the cluster that is there, whether `--prune` was given, and the sentence that made it."""

    spec: ClusterSpec
    state: ClusterState
    prune: bool
    told: str

    def __repr__(self) -> str:
        """Say it in words."""
        return f"Shrinking({self.told})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


def _half_gone(state: ClusterState, name: str, stage: Leaving | None) -> ClusterState:
    def without(server: Server) -> Server:
        return replace(server, labels={k: v for k, v in server.labels.items() if k != naming.LABEL_STATE})

    state = w.edit_node(state, name, lambda node: replace(node, leaving=stage))
    return w.edit_server(state, name, without) if state.server(name) else state


@st.composite
def shrinking(draw: st.DrawFn) -> Shrinking:
    """Draw a cluster of five or three masters that is to have fewer, with at most two things wrong about it."""
    there = draw(st.sampled_from([5, 5, 3]))
    wanted = draw(st.sampled_from([1, 3] if there == 5 else [1]))
    before, spec = w.a_spec(there, 2), w.a_spec(wanted, draw(st.integers(0, 2)))
    state, told = w.healthy(before), [f"{there} -> {wanted}"]
    names = [server.name for server in before.servers()]
    for name in draw(st.lists(st.sampled_from(names), max_size=2, unique=True)):
        table = MASTER if name in before.master_names else WORKER
        what = draw(st.sampled_from(list(table)))
        state, told = table[what](state, before, name), [*told, f"{name} {what}"]
    for name in draw(st.lists(st.sampled_from(names[wanted:there]), max_size=2, unique=True)):
        stage = draw(st.sampled_from([None, *Leaving]))
        state, told = _half_gone(state, name, stage), [*told, f"{name} half gone ({stage})"]
    state = w.without_quorum(state) if quorum_lost(state) else state
    if draw(st.booleans()) and draw(st.booleans()):
        state, told = replace(state, kube={k: Unknown("timed out", w.NOW) for k in state.kube}), [*told, "API silent"]
    prune = draw(st.booleans())
    return Shrinking(spec, state, prune, ", ".join([*told, "--prune" if prune else "no flag"]))


def _intent(world: Shrinking) -> Intent:
    return w.PRUNE if world.prune else w.CREATE


@WALKS
@given(shrinking(), st.randoms(use_true_random=False))
def test_no_step_on_the_way_down_is_unsafe(world: Shrinking, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance, _intent(world)):
        assert violations(world.spec, state, plan) == []


@WALKS
@given(shrinking(), st.randoms(use_true_random=False))
def test_a_way_down_ends_with_nothing_beyond_the_file_or_was_refused(world: Shrinking, chance: random.Random) -> None:
    *_, (state, plan) = run(world.spec, world.state, chance, _intent(world))
    event("refused" if plan.refusals else "converged")
    assert plan.refusals or plan.settled or all(wait.otherwise for wait in plan.waits)
    if world.prune and plan.settled:
        wanted = {server.name for server in world.spec.servers()}
        named = {note.partition(" is beyond the file and stays")[0] for note in plan.notes}
        ours = {s.name for s in state.view.servers if s.labels.get("cluster") == w.CLUSTER}
        assert {name for name in ours if not name.startswith("kept-")} <= wanted | named


@WALKS
@given(shrinking(), st.randoms(use_true_random=False))
def test_a_way_down_is_the_one_that_was_shown(world: Shrinking, chance: random.Random) -> None:
    shown = decide.forecast(world.spec, world.state, _intent(world)).keys
    for _, plan in run(world.spec, world.state, chance, _intent(world)):
        assert {step.key for step in plan.steps} <= shown


@WALKS
@given(shrinking())
def test_without_the_flag_nothing_of_it_is_touched(world: Shrinking) -> None:
    wanted = {server.name for server in world.spec.servers()}
    plan = decide.plan(world.spec, world.state, w.CREATE)
    gone = {"RemoveMember", "RetireMember", "DeleteServer", "DeleteNode", "CordonNode", "DrainNode", "UnmarkMember"}
    assert not [step.key for step in plan.steps if step.key.verb in gone and step.key.target not in wanted]


@WALKS
@given(shrinking(), st.randoms(use_true_random=False))
def test_what_is_forgotten_lets_nothing_go(world: Shrinking, chance: random.Random) -> None:
    before = dangers(decide.plan(world.spec, world.state, w.PRUNE))
    after = dangers(decide.plan(world.spec, forgetting(world.state, chance), w.PRUNE))
    assert after <= before, world


def test_a_way_down_through_a_seed_that_is_beyond_the_file_ends() -> None:
    """The snapshot lay on a master that is to go, and was saved for ever: it counted on the file's masters only."""
    before, spec = w.a_spec(5, 2), w.a_spec(1, 2)
    state = MASTER["lost"](w.healthy(before), before, "prod-master1")
    state = MASTER["not recorded and silent"](state, before, "prod-master2")
    state = _half_gone(_half_gone(state, "prod-master2", None), "prod-master3", None)
    verbs = [str(planned.key) for _, plan in run(spec, state, random.Random(1), w.PRUNE) for planned in plan.steps]
    assert verbs.count(f"SaveSnapshot pre-prune-{w.member_id_of(w.server_id_of('prod-master2'))}") <= 2


@pytest.mark.parametrize("what", ["off", "stopped", "silent"])
def test_a_sick_master_beyond_the_file_does_not_hold_a_join_for_ever(what: str) -> None:
    """The join waited for that voter, and the voter for the join: found by the property above."""
    before, spec = w.a_spec(5, 2), w.a_spec(1, 2)
    state = MASTER["replaced, ready"](w.healthy(before), before, "prod-master1")
    state = MASTER[what](state, before, "prod-master2")
    *_, (_, plan) = run(spec, state, random.Random(1), w.PRUNE)
    assert [wait.otherwise.code for wait in plan.waits if wait.otherwise] == ["surplus.unwell"]


def test_a_deleted_worker_takes_no_witness_of_a_silent_master_along() -> None:
    """The forecast forgot every peer that we cannot look at, so it ended there, and the run did more than was shown."""
    before, spec = w.a_spec(3, 2), w.a_spec(1, 0)
    state = WORKER["replaced, its Node gone, booting"](w.healthy(before), before, "prod-pool-small-worker1")
    state = MASTER["silent"](state, before, "prod-master1")
    shown = decide.forecast(spec, state, w.PRUNE).keys
    assert StepKey(DrainNode, "prod-pool-small-worker2") in shown
