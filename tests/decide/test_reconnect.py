"""Workers that know no living master: pointed to one, one by one; all others are left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.lost import with_token
from tests.decide.world import (
    CREATE,
    FIRST_MASTER,
    MASTER2,
    OTHER_CA,
    SPEC,
    WORKER1,
    WORKER2,
    a_spec,
    address_of,
    edit_facts,
    healthy,
    joining,
    lose,
    not_ready,
    plan,
    unlisted,
    verbs,
)

from hetzner_k3s import decide
from hetzner_k3s.model.host import HostFacts, UnitFacts
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import JoinWorker, ReconnectWorker


def astray() -> ClusterState:
    return with_token(healthy(), SPEC)


def test_they_are_pointed_to_the_seed_one_by_one() -> None:
    (step,) = plan(astray()).steps
    assert step.key == StepKey(ReconnectWorker, WORKER1)
    assert getattr(step.step, "server_url", "") == f"https://{address_of(FIRST_MASTER)}:6443"
    after = decide.plan(SPEC, astray(), CREATE, frozenset({StepKey(ReconnectWorker, WORKER1)}))
    assert not after.steps


def test_a_silent_node_of_such_a_worker_is_no_riddle() -> None:
    assert verbs(plan(not_ready(astray(), WORKER1)).steps) == [f"ReconnectWorker {WORKER1}"]
    assert [r.code for r in plan(not_ready(healthy(), WORKER1)).refusals] == ["worker.not-ready"]


def test_without_a_load_balancer_too() -> None:
    spec = a_spec(load_balancer=False)
    assert StepKey(ReconnectWorker, WORKER1) in {s.key for s in plan(with_token(healthy(spec), spec), spec).steps}


@pytest.mark.parametrize(
    "known",
    [
        f"https://{address_of(FIRST_MASTER)}:6443",
        "https://203.0.0.101:6443",
        "https://10.0.9.40:6443",
        "https://198.51.100.40:6443",
    ],
)
def test_who_knows_a_living_one_is_left_alone(known: str) -> None:
    state = astray()
    for name in (WORKER1, WORKER2):
        state = edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, config_server=known)))
    assert not plan(state).steps


def test_who_knows_a_living_one_beyond_the_file_is_left_alone() -> None:
    """It learns of the others there; they are let go one by one (TRACK_RECORD.md, O14)."""
    known = (f"{address_of(102)}:6443",)
    state = astray()
    for name in (WORKER1, WORKER2):
        state = edit_facts(state, name, lambda f: replace(f, disk=replace(f.disk, agent_servers=known)))
    assert "ReconnectWorker" not in {s.key.verb for s in plan(state, a_spec(1, 2)).steps}


def test_what_an_agent_was_seen_to_know_goes_with_the_step() -> None:
    state = astray()
    facts = state.facts(plan(state).steps[0].step.server_id)  # type: ignore[union-attr]
    assert facts is not None
    assert getattr(plan(state).steps[0].step, "known", None) == facts.disk.agent_servers


def _without_agent(facts: HostFacts) -> HostFacts:
    return replace(facts, agent_unit=UnitFacts(active="inactive"))


def _of_another(facts: HostFacts) -> HostFacts:
    return replace(facts, disk=replace(facts.disk, agent_ca=OTHER_CA))


@pytest.mark.parametrize("change", [_without_agent, _of_another])
def test_who_runs_no_agent_of_ours_is_left_alone(change: object) -> None:
    state = astray()
    for name in (WORKER1, WORKER2):
        state = edit_facts(state, name, change)  # type: ignore[arg-type]
    assert "ReconnectWorker" not in {key.verb for key in (s.key for s in plan(state).steps)}


def test_nobody_is_pointed_anywhere_before_all_masters_vote() -> None:
    assert "ReconnectWorker" not in {s.key.verb for s in plan(lose(astray(), MASTER2)).steps}


def test_a_worker_that_joins_is_pointed_first() -> None:
    state = joining(unlisted(astray(), WORKER1), SPEC, WORKER1)
    state = edit_facts(
        state, WORKER1, lambda f: replace(f, disk=replace(f.disk, config_server="https://10.0.0.250:6443"))
    )
    assert StepKey(JoinWorker, WORKER1) not in {s.key for s in plan(state).steps}
    assert StepKey(ReconnectWorker, WORKER1) in {s.key for s in plan(state).steps}
