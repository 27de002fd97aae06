"""What storms found in the decisions: each a state in which a user's way on led nowhere (tests/sim/TRACK_RECORD.md)."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.disasters import labelled_lineage, resetting
from tests.decide.lost import S3_SPEC, restoring, stored, with_snapshots, with_token
from tests.decide.world import (
    CREATE,
    LINEAGE,
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    SPEC,
    a_spec,
    born_record,
    codes,
    edit_facts,
    edit_kube,
    edit_node,
    forgetful,
    healthy,
    lose,
    other_identity,
    plan,
    rebuilt,
    recorded,
    without_member,
    without_quorum,
)

from hetzner_k3s.model.consents import Consents, Prune
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import EtcdFacts
from hetzner_k3s.model.identity import BirthRecord, Phase
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import HoldMaster, MarkMember


def reset_cluster(stale: str = MASTER3) -> ClusterState:
    """Give a cluster of a younger lineage; one master's server still carries the label of the earlier one."""
    state = recorded(healthy(), replace(born_record(), lineage="2222", parent=LINEAGE))
    return labelled_lineage(edit_kube(state, lambda v: replace(v, lineage="2222")), stale, LINEAGE)


def test_a_voter_of_the_living_list_is_labelled_anew_whatever_its_label_says() -> None:
    planned = plan(reset_cluster())
    assert not planned.refusals
    assert [p.key for p in planned.steps] == [StepKey(MarkMember, MASTER3)]


def test_one_that_has_joined_and_does_not_vote_yet_is_not_of_the_past() -> None:
    state = edit_facts(reset_cluster(), MASTER3, lambda f: replace(f, etcd=EtcdFacts()))
    assert "master.past" not in codes(state)
    assert "master.former" not in codes(state)


def test_one_that_the_living_list_does_not_know_is_of_the_past() -> None:
    assert "master.past" in codes(
        edit_facts(without_member(reset_cluster(), 103), MASTER3, lambda f: replace(f, etcd=EtcdFacts()))
    )


def test_a_label_of_the_same_lineage_asks_for_nothing() -> None:
    assert not plan(labelled_lineage(reset_cluster(), MASTER3, "2222")).steps


def _all_rebuilt() -> ClusterState:
    state = with_token(with_snapshots(healthy(S3_SPEC), stored(2220)), S3_SPEC)
    for name in S3_SPEC.master_names:
        state = rebuilt(state, name)
    return state


def test_nothing_is_restored_where_every_master_was_rebuilt_and_the_user_is_told_which_server_may_go() -> None:
    planned = plan(_all_rebuilt(), S3_SPEC, restoring())
    assert [r.code for r in planned.refusals] == ["master.rebuilt"]
    assert "Delete that server at Hetzner" in planned.refusals[0].you_can


def test_a_snapshot_is_restored_on_a_new_server_rather_than_on_a_rebuilt_one() -> None:
    state = lose(_all_rebuilt(), MASTER2)
    planned = plan(state, S3_SPEC, restoring())
    assert not planned.refusals
    assert {p.key.verb for p in planned.steps} == {"KeepSnapshot", "CreateServer"}
    assert [p.step.target for p in planned.steps if p.key.verb == "CreateServer"] == [MASTER2]


def test_a_rebuilt_master_of_a_birth_that_was_not_done_may_be_deleted() -> None:
    begun = BirthRecord(phase=Phase.BOOTSTRAPPING, seed=101)
    state = rebuilt(recorded(forgetful(lose(lose(healthy(), MASTER2), MASTER3)), begun), MASTER1)
    told = next(r for r in plan(state).refusals if r.code == "master.rebuilt")
    assert "delete that server at Hetzner" in told.you_can


def test_another_cluster_beside_the_data_of_the_recorded_one_may_be_deleted() -> None:
    """Without a quorum the recorded cluster tells no UID, so nothing is kept by its digits."""
    state = without_quorum(lose(healthy(), MASTER1))
    state = other_identity(state, MASTER2)
    told = next(r for r in plan(state).refusals if r.code == "identity.other")
    assert MASTER3 in told.you_can
    assert "delete that server at Hetzner" in told.you_can


def test_another_cluster_with_no_data_of_the_recorded_one_beside_it_is_no_reason_to_delete_anything() -> None:
    state = healthy()
    for name in SPEC.master_names:
        state = other_identity(state, name)
    told = next(r for r in plan(state).refusals if r.code == "identity.other")
    assert "another project" in told.you_can


def test_a_rebuilt_master_beyond_the_file_is_not_waited_for() -> None:
    """Nobody gives it a host key; its member is dead, and goes with `--prune` once its server is gone."""
    five = a_spec(5)
    name = five.master_names[-1]
    state = healthy(five)
    created = edit_node(rebuilt(state, name), name, lambda n: replace(n, created=NOW - 1000))
    proven = replace(created, rebuilds={105: Known(NOW - 10.0)})
    assert not plan(proven, SPEC).waits
    assert not codes(proven, SPEC)
    pruned = plan(proven, SPEC, replace(CREATE, consents=Consents.of(Prune())))
    assert [r.code for r in pruned.refusals] == ["surplus.unwell"]


def test_a_quorum_is_reset_from_a_master_beyond_the_file_too() -> None:
    """The file was made smaller, and the one that is left of the old masters is not in it."""
    state, smaller = without_quorum(lose(lose(healthy(), MASTER1), MASTER3)), a_spec(1, 0)
    assert "quorum.lost" in codes(state, smaller)
    planned = plan(state, smaller, resetting(MASTER2))
    assert [p.key for p in planned.steps] == [StepKey(HoldMaster, MASTER2)]
    assert "consent.unfit" in codes(state, smaller, resetting("prod-master9"))
