"""A lost master is led back, in order, from wherever an earlier run was cut off.

See docs/architecture.md#order-of-repair.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    SPEC,
    UID,
    WORKER1,
    a_spec,
    bare,
    booting,
    edit_etcd,
    edit_facts,
    edit_kube,
    edit_node,
    forecast,
    healthy,
    in_order,
    joining,
    lose,
    member_id_of,
    member_of,
    not_ready,
    plan,
    ready,
    replacement_of,
    server_id_of,
    server_of,
    unlisted,
    unmarked,
    verbs,
    waves,
    with_boot_key,
    with_next_key,
    with_server,
    with_snapshot,
    without_member,
    without_node,
)

from hetzner_k3s.model.facts import Unknown
from hetzner_k3s.model.host import EtcdFacts, Member, UnitFacts
from hetzner_k3s.model.plan import Reason, StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    CreateServer,
    DeleteNode,
    InstallK3s,
    JoinControlPlane,
    MarkMember,
    RemoveMember,
    SaveSnapshot,
    SecureHost,
)

ALL = (MASTER1, MASTER2, MASTER3)


@pytest.mark.parametrize("lost", ALL)
def test_a_lost_master_is_replaced_in_this_order_and_nothing_is_left_to_do(lost: str) -> None:
    ours = [
        key
        for key in in_order(lose(healthy(), lost))
        if key.target in {lost, f"pre-repair-{member_id_of(server_id_of(lost))}"}
    ]
    assert [key.verb for key in ours] == [
        "SaveSnapshot",
        "CreateServer",
        "SecureHost",
        "InstallK3s",
        "RemoveMember",
        "DeleteNode",
        "JoinControlPlane",
        "MarkMember",
    ]


@pytest.mark.parametrize("lost", ALL)
def test_the_survivors_are_touched_only_where_their_config_named_the_lost_one(lost: str) -> None:
    survivors = [key for key in in_order(lose(healthy(), lost)) if key.target in set(ALL) - {lost}]
    expected = [MASTER2, MASTER3] if lost == MASTER1 else [MASTER1] if lost == MASTER2 else []
    assert survivors == [StepKey(MarkMember, name) for name in expected]


def test_their_config_is_not_touched_when_the_successor_has_the_same_address() -> None:
    state = ready(
        without_node(without_member(lose(healthy(), MASTER1), FIRST_MASTER), MASTER1), SPEC, MASTER1, 1_000_101
    )
    assert {key.target for key in in_order(state) if key.verb == "MarkMember"} == {MASTER1}


def test_the_first_master_is_not_special() -> None:
    without = {lost: [key.verb for key in in_order(lose(healthy(), lost)) if key.target == lost] for lost in ALL}
    assert without[MASTER1] == without[MASTER2] == without[MASTER3]


def test_the_lost_leader_is_replaced_like_any_other() -> None:
    state = edit_etcd(healthy(), lambda etcd: replace(etcd, leader=member_id_of(server_id_of(MASTER2))))
    assert StepKey(RemoveMember, MASTER2) in in_order(lose(state, MASTER2))


def test_a_lost_master_whose_node_somebody_deleted_is_replaced_without_deleting_a_node() -> None:
    keys = in_order(without_node(lose(healthy(), MASTER1), MASTER1))
    assert StepKey(DeleteNode, MASTER1) not in keys
    assert [key.verb for key in keys if key.target == MASTER1][-3:] == [
        "RemoveMember",
        "JoinControlPlane",
        "MarkMember",
    ]


def test_a_node_whose_secret_alone_is_left_loses_that_before_the_join() -> None:
    left = edit_kube(
        lose(healthy(), MASTER1), lambda v: replace(v, nodes=tuple(n for n in v.nodes if n.name != MASTER1))
    )
    keys = in_order(left)
    assert keys.index(StepKey(DeleteNode, MASTER1)) < keys.index(StepKey(JoinControlPlane, MASTER1))


def test_a_member_that_is_gone_already_needs_no_snapshot_and_no_removal() -> None:
    keys = in_order(without_member(lose(healthy(), MASTER1), FIRST_MASTER))
    assert [key.verb for key in keys if key.target == MASTER1] == [
        "CreateServer",
        "DeleteNode",
        "SecureHost",
        "InstallK3s",
        "JoinControlPlane",
        "MarkMember",
    ]


def test_the_removal_names_the_member_and_the_list_it_was_decided_on() -> None:
    state = ready(
        with_snapshot(lose(healthy(), MASTER1), MASTER2, FIRST_MASTER), SPEC, MASTER1, replacement_of(MASTER1)
    )
    step = next(p.step for p in plan(state).steps if isinstance(p.step, RemoveMember))
    assert step.member_id == member_id_of(FIRST_MASTER)
    assert step.precondition.ids == tuple(member_id_of(FIRST_MASTER + i) for i in range(3))
    assert step.precondition.uid == UID
    assert step.via == server_id_of(MASTER2)


def test_the_snapshot_is_saved_on_the_healthy_master_with_the_highest_revision() -> None:
    state = lose(healthy(), MASTER1)
    state = edit_facts(state, MASTER3, lambda f: replace(f, etcd=replace(f.etcd, revision=1001)))
    (step,) = [p.step for p in plan(state).steps if isinstance(p.step, SaveSnapshot)]
    assert step.via == server_id_of(MASTER3)


def test_an_empty_snapshot_file_is_no_snapshot() -> None:
    state = with_snapshot(lose(healthy(), MASTER1), MASTER2, FIRST_MASTER)
    state = edit_facts(state, MASTER2, lambda f: replace(f, snapshots=(replace(f.snapshots[0], size=0),)))
    assert f"SaveSnapshot pre-repair-{member_id_of(FIRST_MASTER)}" in verbs(plan(state).steps)


def _cut_off(lost: str) -> dict[str, tuple[ClusterState, str]]:
    start = lose(healthy(), lost)
    saved = with_snapshot(start, MASTER3 if lost != MASTER3 else MASTER1, server_id_of(lost))
    new = replacement_of(lost)
    removed = without_member(saved, server_id_of(lost))
    begun = joining(without_node(removed, lost), SPEC, lost, new)
    learner = member_of(lost, new, learner=True)
    return {
        "before anything": (start, "SaveSnapshot, CreateServer"),
        "after the snapshot": (saved, "CreateServer"),
        "while the server boots": (booting(saved, SPEC, lost, new), "SecureHost"),
        "before the host key is replaced": (with_boot_key(saved, SPEC, lost, new), "SecureHost"),
        "in the middle of the host key's replacement": (with_next_key(saved, SPEC, lost, new), "SecureHost"),
        "before k3s is installed": (bare(saved, SPEC, lost, new), "InstallK3s"),
        "before the member is removed": (ready(saved, SPEC, lost, new), "RemoveMember"),
        "before the Node is deleted": (ready(removed, SPEC, lost, new), "DeleteNode"),
        "before the join": (ready(without_node(removed, lost), SPEC, lost, new), "JoinControlPlane"),
        "in the middle of the join": (begun, "JoinControlPlane"),
        "while it learns": (
            edit_etcd(begun, lambda etcd: replace(etcd, members=(*(etcd.members or ()), learner))),
            "JoinControlPlane",
        ),
    }


@pytest.mark.parametrize("lost", ALL)
@pytest.mark.parametrize("point", list(_cut_off(MASTER1)))
def test_a_repair_that_was_cut_off_is_gone_on_with(lost: str, point: str) -> None:
    state, first = _cut_off(lost)[point]
    steps = [p for p in plan(state).steps if p.step.target in {lost, f"pre-repair-{member_id_of(server_id_of(lost))}"}]
    assert ", ".join(p.key.verb for p in steps) == first
    assert f"MarkMember {lost}" in waves(state)[-1]


@pytest.mark.parametrize("ordered", [True, False])
def test_only_behind_this_runs_own_order_the_member_goes_while_the_server_boots(ordered: bool) -> None:
    new = replacement_of(MASTER1)
    state = booting(with_snapshot(lose(healthy(), MASTER1), MASTER3, FIRST_MASTER), SPEC, MASTER1, new)
    state = replace(state, ordered=frozenset({new} if ordered else ()))
    assert ("RemoveMember prod-master1" in verbs(plan(state).steps)) == ordered
    assert "SecureHost prod-master1" in verbs(plan(state).steps)


def test_a_repair_is_said_to_be_one() -> None:
    way = [p for wave in forecast(lose(healthy(), MASTER1)).waves for p in wave if p.step.target == MASTER1]
    assert {p.key.verb for p in way if p.reason is Reason.LOST} >= {"CreateServer", "RemoveMember", "DeleteNode"}


@pytest.mark.parametrize("joined", [MASTER2, MASTER3])
def test_a_voter_that_was_not_recorded_is_recorded(joined: str) -> None:
    assert waves(unmarked(healthy(), joined)) == [[f"MarkMember {joined}"]]


def test_the_record_of_a_voter_that_is_still_starting_does_not_end_the_way() -> None:
    state = without_node(without_member(lose(healthy(), MASTER2), server_id_of(MASTER2)), MASTER2)
    state = not_ready(ready(state, SPEC, MASTER2, replacement_of(MASTER2)), MASTER3)
    state = edit_facts(
        unmarked(state, MASTER3), MASTER3, lambda f: replace(f, server_unit=UnitFacts(active="activating"))
    )
    assert f"MarkMember {MASTER2}" in waves(state)[-1]


def test_in_a_repair_one_master_joins_at_a_time() -> None:
    spec = a_spec(5, 0)
    state = healthy(spec)
    for lost in ("prod-master4", "prod-master5"):
        state = without_node(without_member(lose(state, lost), server_id_of(lost)), lost)
        state = ready(state, spec, lost, replacement_of(lost))
    joins = [
        [p.step.target for p in wave if isinstance(p.step, JoinControlPlane)] for wave in forecast(state, spec).waves
    ]
    assert [j for j in joins if j] == [["prod-master4"], ["prod-master5"]]


def test_a_join_that_was_begun_goes_on_before_another_one_begins() -> None:
    spec = a_spec(5, 0)
    state = healthy(spec)
    for lost in ("prod-master4", "prod-master5"):
        state = without_node(without_member(lose(state, lost), server_id_of(lost)), lost)
    state = ready(state, spec, "prod-master4", replacement_of("prod-master4"))
    state = joining(state, spec, "prod-master5", replacement_of("prod-master5"))
    assert [p.step.target for p in plan(state, spec).steps if isinstance(p.step, JoinControlPlane)] == ["prod-master5"]


def _with_unstarted(state: ClusterState, address: str) -> ClusterState:
    member = Member(id="7", name="", peer_urls=(f"https://{address}:2380",), learner=True)
    return edit_etcd(state, lambda etcd: replace(etcd, members=(*(etcd.members or ()), member)))


def test_a_master_adopts_the_unstarted_member_of_its_own_address() -> None:
    state = without_node(without_member(lose(healthy(), MASTER3), server_id_of(MASTER3)), MASTER3)
    state = _with_unstarted(ready(state, SPEC, MASTER3, replacement_of(MASTER3)), "10.0.0.103")
    assert StepKey(JoinControlPlane, MASTER3) in {p.key for p in plan(state).steps}


def test_a_master_does_not_join_beside_the_unstarted_member_of_another_one() -> None:
    spec = a_spec(5, 0)
    state = healthy(spec)
    for lost in ("prod-master4", "prod-master5"):
        state = without_node(without_member(lose(state, lost), server_id_of(lost)), lost)
    state = ready(state, spec, "prod-master4", replacement_of("prod-master4"))
    state = _with_unstarted(bare(state, spec, "prod-master5", replacement_of("prod-master5")), "10.0.0.105")
    decided = plan(state, spec)
    assert "JoinControlPlane" not in {p.key.verb for p in decided.steps}
    assert [wait.because for wait in decided.waits] == ["another member is still a learner"]


def test_a_member_whose_node_carries_another_servers_id_is_recorded_anew() -> None:
    state = edit_node(healthy(), MASTER2, lambda n: replace(n, server_id=None, provider_id=None))
    assert verbs(plan(state).steps) == [f"MarkMember {MASTER2}"]


# --- what is not proven -----------------------------------------------------------------------------------------------


def test_a_member_that_its_peers_still_talk_to_is_waited_for() -> None:
    state = replace(
        unlisted(healthy(), MASTER1), lookups={FIRST_MASTER: lose(healthy(), MASTER1).lookups[FIRST_MASTER]}
    )
    decided = plan(state)
    assert (decided.steps, decided.refusals) == ((), ())
    (wait,) = decided.waits
    assert wait.because == "the etcd of prod-master2, prod-master3 is still connected to it"


def test_the_way_beyond_that_wait_is_shown_so_that_the_run_may_go_it() -> None:
    connected = replace(unlisted(healthy(), MASTER1), lookups=lose(healthy(), MASTER1).lookups)
    assert set(in_order(connected)) == set(in_order(lose(healthy(), MASTER1)))


def test_while_the_api_is_silent_no_member_is_removed() -> None:
    state = lose(healthy(), MASTER1)
    state = replace(state, kube={server_id_of(MASTER2): Unknown("timed out", NOW)})
    decided = plan(ready(state, SPEC, MASTER1, replacement_of(MASTER1)))
    assert [p.key for p in decided.steps if p.key.verb != "WriteKubeconfig"] == []
    assert [wait.because for wait in decided.waits] == ["Nodes left by lost machines must be seen first"]


def test_a_new_server_that_was_not_looked_at_is_not_taken_for_another_machine_without_its_id() -> None:
    state = booting(without_node(lose(healthy(), MASTER1), MASTER1), SPEC, MASTER1, replacement_of(MASTER1))
    keys = [p.key for p in plan(state).steps]
    assert StepKey(SecureHost, MASTER1) in keys
    assert not [key for key in keys if key.verb in {"SaveSnapshot", "RemoveMember", "DeleteNode"}]


def test_a_voter_that_was_not_recorded_and_falls_silent_keeps_member_and_node() -> None:
    """It has no label, no annotation, and does not answer: silence is not death (found by review)."""
    state = booting(unmarked(healthy(), MASTER3), SPEC, MASTER3)
    state = edit_etcd(state, lambda etcd: replace(etcd, active_peers=()))
    assert verbs(plan(state).steps) == [f"SecureHost {MASTER3}"]


def test_a_node_without_our_annotation_is_known_by_its_provider_id() -> None:
    state = edit_node(lose(healthy(), MASTER1), MASTER1, lambda n: replace(n, server_id=None))
    assert StepKey(RemoveMember, MASTER1) in in_order(state)


@pytest.mark.parametrize("told_by_its_node", [True, False])
def test_a_worker_of_ours_at_the_dead_members_address_is_left_alone_and_does_not_hinder(told_by_its_node: bool) -> None:
    state = lose(healthy(), MASTER1)
    state = state if told_by_its_node else without_node(state, MASTER1)
    worker = replace(server_of(SPEC, WORKER1), private_ips={7: "10.0.0.101"})
    keys = in_order(with_server(state, worker))
    assert StepKey(RemoveMember, MASTER1) in keys
    assert not [key for key in keys if key.target == WORKER1]


def test_no_worker_is_made_before_the_lost_masters_successor_has_its_address() -> None:
    shown = waves(lose(lose(healthy(), MASTER1), WORKER1))
    made = {step: number for number, wave in enumerate(shown) for step in wave if step.startswith("CreateServer")}
    assert made[f"CreateServer {MASTER1}"] < made[f"CreateServer {WORKER1}"]


def test_replacements_run_what_the_cluster_runs_not_what_the_file_says() -> None:
    state = lose(healthy(), MASTER1)
    for name in (MASTER2, MASTER3):
        state = edit_facts(state, name, lambda f: replace(f, k3s_version="v1.35.1+k3s1"))
    steps = [p.step for wave in forecast(state).waves for p in wave]
    assert [step.version for step in steps if isinstance(step, InstallK3s)] == ["v1.35.1+k3s1"]


def test_a_member_whose_machine_was_not_looked_at_yet_is_waited_for() -> None:
    state = booting(without_node(lose(healthy(), MASTER1), MASTER1), SPEC, MASTER1, replacement_of(MASTER1))
    assert [wait.because for wait in plan(state).waits] == ["prod-master1 has not been looked at yet"]
    assert StepKey(RemoveMember, MASTER1) in in_order(state)


def test_two_members_whose_successors_have_not_been_looked_at_are_waited_for() -> None:
    spec = a_spec(5, 0)
    state = healthy(spec)
    for name in (MASTER1, MASTER2):
        state = booting(without_node(lose(state, name), name), spec, name, replacement_of(name))
    assert [wait.because for wait in plan(state, spec).waits] == [
        f"{name} has not been looked at yet" for name in (MASTER1, MASTER2)
    ]


def test_while_the_api_is_silent_no_server_is_asked_for() -> None:
    state = without_member(lose(lose(healthy(), MASTER1), WORKER1), FIRST_MASTER)
    silent = replace(state, kube={server_id_of(MASTER2): Unknown("timed out", NOW)})
    assert plan(silent).steps == ()
    assert [wait.what for wait in plan(silent).waits] == ["the Kubernetes API"]
    assert {StepKey(CreateServer, MASTER1), StepKey(CreateServer, WORKER1)} <= set(in_order(silent))


def test_a_host_that_holds_data_is_not_taken_for_a_fresh_one() -> None:
    state = without_node(without_member(lose(healthy(), MASTER1), FIRST_MASTER), MASTER1)
    state = ready(state, SPEC, MASTER1, replacement_of(MASTER1))
    held = edit_facts(state, MASTER1, lambda f: replace(f, disk=replace(f.disk, wal=True)))
    for now, reason in ((state, Reason.MISSING), (held, Reason.UNFINISHED)):
        assert [p.reason for p in plan(now).steps if isinstance(p.step, JoinControlPlane)] == [reason]


def test_a_member_whose_own_host_answers_for_it_may_have_any_name() -> None:
    def renamed(etcd: EtcdFacts) -> EtcdFacts:
        return replace(etcd, members=tuple(replace(m, name=f"restored-{m.id}") for m in etcd.members or ()))

    assert plan(edit_etcd(healthy(), renamed)).settled
