"""`--new-cluster-over`: what it lifts, what it never lifts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.lost import S3_SPEC, all_lost, stored, with_snapshots
from tests.decide.world import (
    CA,
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    NO_RECORD,
    NOW,
    OTHER_CA,
    OTHER_UID,
    SPEC,
    UID,
    WORKER1,
    WORKER2,
    codes,
    healthy,
    in_order,
    lose,
    nothing,
    plan,
    recorded,
    stopped,
    verbs,
    with_listing,
)

from hetzner_k3s.model.consents import Consents, NewClusterOver
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.plan import Intent, StepKey
from hetzner_k3s.model.state import LocalEvidence
from hetzner_k3s.model.steps import (
    DeleteServer,
    ForgetBirth,
    InitControlPlane,
    JoinWorker,
    ReconnectWorker,
    RecordBirth,
)


def over(digits: str) -> Intent:
    return replace(CREATE, consents=Consents.of(NewClusterOver(digits)))


OVER = over(CA[:8])


@pytest.mark.parametrize("digits", [CA[:8], UID[:8]])
def test_the_record_is_forgotten_first_and_alone(digits: str) -> None:
    state = with_snapshots(all_lost(), stored(60))
    steps = plan(state, S3_SPEC, over(digits)).steps
    assert [s.key for s in steps if s.consent] == [StepKey(ForgetBirth, CA[:8])]
    assert {s.consent for s in steps if s.consent} == {NewClusterOver(digits)}


def test_then_it_is_a_birth_and_the_old_workers_are_left_and_named() -> None:
    way = in_order(with_snapshots(all_lost(), stored(60)), S3_SPEC, OVER)
    assert way.index(StepKey(ForgetBirth, CA[:8])) < way.index(StepKey(RecordBirth, "bootstrapping"))
    assert StepKey(InitControlPlane, MASTER1) in way
    assert not {StepKey(JoinWorker, WORKER1), StepKey(ReconnectWorker, WORKER1), StepKey(DeleteServer, WORKER1)} & set(
        way
    )


def test_a_forgotten_cluster_stays_given_up_for_the_run() -> None:
    forgotten = recorded(with_snapshots(all_lost(), stored(60)), NO_RECORD)
    assert codes(forgotten, S3_SPEC, OVER) == []
    notes = plan(forgotten, S3_SPEC, OVER).notes
    assert sum("given up" in note for note in notes) == 2
    assert any("s3_folder" in note for note in notes)
    without = codes(forgotten, S3_SPEC)
    assert set(without) == {"birth.not-empty", "birth.kubeconfig", "birth.journal", "birth.snapshots"}


def test_a_network_that_is_gone_is_in_the_way_of_a_repair_alone() -> None:
    state = with_listing(all_lost(), networks=())
    assert codes(state) == ["network.gone", "masters.all-lost"]
    assert codes(state, SPEC, OVER) == []
    way = in_order(state, SPEC, OVER)
    assert StepKey(ForgetBirth, CA[:8]) in way
    assert codes(with_listing(healthy(), networks=()), SPEC, OVER) == ["masters.none-healthy", "consent.unfit"]


def test_this_machine_remembers_what_it_gave_up() -> None:
    state = replace(nothing(), local=LocalEvidence(given_up=(CA,)))
    assert codes(state, SPEC, OVER) == []
    assert codes(nothing(), SPEC, OVER) == ["consent.unfit"]


@pytest.mark.parametrize("digits", ["00000000", "", CA, OTHER_CA[:8]])
def test_other_digits_give_nothing_up(digits: str) -> None:
    assert codes(all_lost(), S3_SPEC, over(digits)) == ["masters.all-lost", "consent.unfit"]


def test_never_while_a_master_may_hold_data() -> None:
    assert codes(healthy(), SPEC, OVER) == ["consent.unfit"]
    survivor = stopped(lose(lose(healthy(), MASTER1), MASTER2), MASTER3)
    (refusal,) = (r for r in plan(survivor, SPEC, OVER).refusals if r.code == "consent.unfit")
    assert MASTER3 in refusal.saw


def test_the_refusal_without_it_shows_the_digits_and_the_workers() -> None:
    (refusal,) = plan(all_lost(), S3_SPEC).refusals
    assert f"--new-cluster-over {CA[:8]}" in refusal.you_can
    assert f"{WORKER1}, {WORKER2}" in refusal.you_can


def test_a_birth_is_refused_beside_snapshots_of_masters_of_these_names() -> None:
    assert codes(with_snapshots(nothing(), stored(60)), S3_SPEC) == ["birth.snapshots"]
    assert codes(with_snapshots(nothing(), stored(60), stored(90)), S3_SPEC) == ["birth.snapshots"]
    other = replace(stored(60), node="staging-master1")
    assert codes(with_snapshots(nothing(), other, replace(other, node=None)), S3_SPEC) == []
    assert codes(replace(nothing(), snapshots=Known(())), S3_SPEC) == []


def test_a_birth_is_refused_while_s3_is_silent() -> None:
    assert codes(replace(nothing(), snapshots=Unknown("it did not answer", NOW)), S3_SPEC) == [
        "birth.snapshots-unknown"
    ]


def test_verbs_are_told() -> None:
    assert "ForgetBirth ab12ab12" in verbs(plan(all_lost(), S3_SPEC, OVER).steps)


def test_the_snapshots_of_a_cluster_that_is_gone_are_given_up_by_its_uid() -> None:
    state = with_snapshots(nothing(), stored(60), stored(90))
    (refusal,) = plan(state, S3_SPEC).refusals
    assert f"--new-cluster-over {UID[:8]}" in refusal.you_can
    assert codes(state, S3_SPEC, over(UID[:8])) == []
    assert any("s3_folder" in note for note in plan(state, S3_SPEC, over(UID[:8])).notes)
    another = with_snapshots(nothing(), stored(60), stored(90, uid=OTHER_UID))
    assert codes(another, S3_SPEC, over(UID[:8])) == ["birth.snapshots"]
    unnamed = with_snapshots(nothing(), stored(60, uid=None))
    (refusal,) = plan(unnamed, S3_SPEC).refusals
    assert "--new-cluster-over" not in refusal.you_can


def test_once_the_new_cluster_is_born_the_consent_still_fits() -> None:
    born = with_snapshots(healthy(S3_SPEC), stored(60, uid=OTHER_UID))
    assert codes(born, S3_SPEC, over(OTHER_UID[:8])) == []
