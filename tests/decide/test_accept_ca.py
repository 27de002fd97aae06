"""A rotated CA is recorded when its owner says so and everything else says that it is the same cluster."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.mishaps import database_deleted
from tests.decide.oddities import accepting, with_ca, with_rotated_ca
from tests.decide.world import (
    CA,
    CLUSTER,
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    OTHER_CA,
    SPEC,
    WORKER1,
    codes,
    edit_facts,
    edit_server,
    healthy,
    lose,
    plan,
    unreachable,
    waves,
)

from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import AcceptCa
from hetzner_k3s.model.plan import PlannedStep
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import RecordBirth

ACCEPTING = accepting(OTHER_CA)


def rotated() -> ClusterState:
    return with_ca(healthy(), OTHER_CA)


def written(state: ClusterState, name: str) -> ClusterState:
    label = {naming.LABEL_CA: OTHER_CA[: naming.CA_LABEL_DIGITS]}
    return edit_server(state, name, lambda s: replace(s, labels={**s.labels, **label}))


def only(steps: tuple[PlannedStep, ...]) -> PlannedStep:
    (step,) = steps
    return step


def test_the_record_is_renewed_first_and_the_kubeconfig_after_it() -> None:
    assert waves(rotated(), intent=ACCEPTING) == [
        ["RecordBirth born"],
        [f"KeepTokens {CLUSTER}", f"WriteKubeconfig {SPEC.kubeconfig_path}"],
    ]


def test_the_plan_names_the_consent_and_changes_nothing_but_the_ca() -> None:
    planned = only(plan(rotated(), intent=ACCEPTING).steps)
    assert planned.consent == AcceptCa(OTHER_CA[:8])
    assert planned.because.endswith(f"its CA was {CA[:8]} before")
    assert isinstance(planned.step, RecordBirth)
    before = waves(healthy())
    assert before == []
    assert planned.step.record.ca == OTHER_CA[: naming.CA_LABEL_DIGITS]


@pytest.mark.parametrize("name", [MASTER1, MASTER3])
def test_a_run_that_was_cut_off_is_gone_on_with(name: str) -> None:
    state = written(rotated(), name)
    assert isinstance(only(plan(state, intent=ACCEPTING).steps).step, RecordBirth)
    everywhere = state
    for master in SPEC.master_names:
        everywhere = written(everywhere, master)
    assert isinstance(only(plan(everywhere, intent=ACCEPTING).steps).step, RecordBirth)


def without_data(state: ClusterState) -> ClusterState:
    for master in SPEC.master_names:
        state = database_deleted(state, master)
    return state


def test_half_a_record_is_completed_after_all_data_was_lost() -> None:
    state = without_data(written(rotated(), MASTER1))
    assert "record.conflict" in codes(state)
    planned = plan(state, intent=ACCEPTING)
    assert "record.conflict" not in codes(state, intent=ACCEPTING)
    assert isinstance(only(planned.steps).step, RecordBirth)
    assert only(planned.steps).because.startswith("a run had begun to record it when it was cut off")


def test_half_a_record_is_not_completed_where_a_disk_holds_another_ca() -> None:
    state = with_ca(without_data(written(rotated(), MASTER1)), "f" * 64, masters=(MASTER3,))
    assert not any(isinstance(p.step, RecordBirth) for p in plan(state, intent=ACCEPTING).steps)


def test_half_a_record_is_not_completed_beside_a_master_that_is_silent() -> None:
    state = unreachable(without_data(written(rotated(), MASTER1)), MASTER3)
    assert not any(isinstance(p.step, RecordBirth) for p in plan(state, intent=ACCEPTING).steps)


def test_half_a_record_does_not_go_back_to_the_ca_of_before() -> None:
    state = with_rotated_ca(without_data(written(healthy(), MASTER1)), MASTER1, MASTER2, MASTER3)
    assert not any(isinstance(p.step, RecordBirth) for p in plan(state, intent=accepting(CA)).steps)


def test_a_ca_that_no_label_names_is_not_accepted_where_nobody_votes() -> None:
    assert not any(isinstance(p.step, RecordBirth) for p in plan(without_data(rotated()), intent=ACCEPTING).steps)


def test_workers_that_hold_the_ca_from_before_are_let_be_in_that_run() -> None:
    state = edit_facts(rotated(), WORKER1, lambda f: replace(f, disk=replace(f.disk, agent_ca=CA)))
    assert plan(state, intent=ACCEPTING).refusals == ()


def test_a_lost_master_is_no_obstacle_as_long_as_there_is_a_quorum() -> None:
    state = with_ca(lose(healthy(), MASTER3), OTHER_CA, masters=(MASTER1, MASTER2))
    assert waves(state, intent=ACCEPTING)[0] == ["RecordBirth born"]


def test_the_flag_given_again_does_nothing() -> None:
    assert plan(healthy(), intent=accepting(CA)).settled
    assert plan(healthy(), intent=CREATE).settled
