"""Masters that are there and not well: started, joined anew, put aside, discarded on consent, or left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.test_birth import BEGUN, prepared
from tests.decide.world import (
    CA,
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    SPEC,
    WORKER1,
    a_spec,
    codes,
    database_deleted,
    edit_etcd,
    edit_facts,
    edit_node,
    forecast,
    former,
    healthy,
    in_order,
    joining,
    lose,
    member_id_of,
    not_ready,
    plan,
    rebuilt,
    recorded,
    replacement_of,
    server_id_of,
    stopped,
    tombstoned,
    unmarked,
    unreachable,
    verbs,
    waves,
    without_member,
    without_node,
    without_quorum,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.repair.stale_nodes import stale_node
from hetzner_k3s.decide.view.context import ServingContext, context_of
from hetzner_k3s.decide.view.node_machine import NamedServer
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import DiskFacts, HostFacts, Member, UnitFacts
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    DeleteNode,
    InitControlPlane,
    JoinControlPlane,
    RemoveMember,
    StartMaster,
    WipeJoiner,
)

ALL = (MASTER1, MASTER2, MASTER3)
ONE, FIVE = a_spec(1, 0), a_spec(5, 0)
MASTER4 = "prod-master4"


def verbs_of(state: ClusterState, name: str) -> list[str]:
    return [
        key.verb for key in in_order(state) if key.target in {name, f"pre-repair-{member_id_of(server_id_of(name))}"}
    ]


# --- stopped ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_stopped_k3s_with_its_data_is_started_and_nothing_else_is_done(name: str) -> None:
    assert waves(not_ready(stopped(healthy(), name), name)) == [[f"StartMaster {name}"]]


def test_with_quorum_lost_every_stopped_k3s_is_started_at_once() -> None:
    state = without_quorum(stopped(stopped(healthy(), MASTER1), MASTER2))
    for name in (MASTER1, MASTER2):
        state = edit_facts(state, name, lambda f: replace(f, server_unit=UnitFacts(active="inactive")))
    assert waves(state) == [[f"StartMaster {MASTER1}", f"StartMaster {MASTER2}"]]


def test_the_only_master_is_started() -> None:
    step = StartMaster(target=MASTER1, server_id=FIRST_MASTER)
    assert [[p.step for p in wave] for wave in forecast(stopped(healthy(ONE), MASTER1), ONE).waves] == [[step]]


# --- without its data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_master_without_its_database_loses_its_dead_member_and_joins_again_on_the_same_server(name: str) -> None:
    assert verbs_of(database_deleted(healthy(), name), name) == [
        "SaveSnapshot",
        "RemoveMember",
        "JoinControlPlane",
        "MarkMember",
    ]


def test_a_master_whose_disk_is_empty_by_its_own_word_is_made_ready_again_and_its_node_goes_too() -> None:
    state = database_deleted(healthy(), MASTER2)
    state = edit_facts(state, MASTER2, lambda f: HostFacts(key=f.key, boot_finished=True))
    assert verbs_of(state, MASTER2) == [
        "SaveSnapshot",
        "InstallK3s",
        "RemoveMember",
        "DeleteNode",
        "JoinControlPlane",
        "MarkMember",
    ]


def test_a_database_that_was_deleted_under_a_living_etcd_is_no_loss_yet() -> None:
    state = edit_facts(healthy(), MASTER2, lambda f: replace(f, disk=replace(f.disk, wal=False)))
    assert plan(state).settled


def test_an_etcd_that_starts_without_a_log_keeps_its_member() -> None:
    state = database_deleted(healthy(), MASTER2)
    state = edit_facts(state, MASTER2, lambda f: replace(f, etcd=replace(f.etcd, healthy=False)))
    assert codes(state) == ["master.not-ready"]


def test_a_dead_member_that_its_peers_still_reach_is_waited_for() -> None:
    state = database_deleted(healthy(), MASTER2)
    gone = member_id_of(102)
    state = edit_etcd(state, lambda etcd: replace(etcd, active_peers=(*etcd.active_peers, gone)))
    assert [w.because for w in plan(state).waits] == ["the etcd of prod-master1, prod-master3 is still connected to it"]


def test_a_master_without_its_database_whose_node_names_a_machine_that_lives_is_not_judged() -> None:
    """What runs the Node is not told by anybody: the server of its name has lost its agent, too."""
    state = edit_node(database_deleted(healthy(), MASTER2), MASTER2, lambda n: replace(n, server_id=103, ready=False))
    assert "member.unexplained" in codes(state)


def test_a_joiner_that_lost_its_log_before_it_was_recorded_is_led_on_too() -> None:
    state = unmarked(database_deleted(healthy(), MASTER2), MASTER2)
    state = edit_node(state, MASTER2, lambda n: replace(n, server_id=102))
    assert verbs_of(state, MASTER2)[:3] == ["SaveSnapshot", "RemoveMember", "JoinControlPlane"]


def test_a_learner_whose_host_shows_no_log_yet_is_let_be() -> None:
    state = without_node(without_member(lose(healthy(), MASTER3), 103), MASTER3)
    state = joining(state, SPEC, MASTER3, replacement_of(MASTER3))
    learner = Member(id="7", name="prod-master3-new", peer_urls=("https://10.0.0.103:2380",), learner=True)
    state = edit_etcd(state, lambda etcd: replace(etcd, members=(*(etcd.members or ()), learner)))
    assert "RemoveMember" not in {key.verb for key in in_order(state)}


# --- former members ---------------------------------------------------------------------------------------------------


def test_a_master_that_was_removed_while_it_ran_is_restarted_by_its_join() -> None:
    assert verbs_of(tombstoned(healthy(), MASTER1), MASTER1) == ["JoinControlPlane", "MarkMember"]


def test_a_master_that_was_removed_while_it_was_away_is_wiped_and_joins_again() -> None:
    state = former(healthy(), MASTER2)
    assert verbs_of(state, MASTER2) == ["WipeJoiner", "DeleteNode", "JoinControlPlane", "MarkMember"]
    (step,) = [p.step for p in plan(state).steps]
    assert step == WipeJoiner(target=MASTER2, server_id=102, server_url="https://10.0.0.101:6443", address="10.0.0.102")


def test_a_learner_that_was_given_up_is_wiped_and_joins_again() -> None:
    state = former(unmarked(healthy(), MASTER2), MASTER2)
    assert verbs_of(state, MASTER2)[:3] == ["WipeJoiner", "DeleteNode", "JoinControlPlane"]


def test_a_stopped_master_that_is_no_member_is_wiped_and_not_started() -> None:
    state = not_ready(stopped(without_member(healthy(), 102), MASTER2), MASTER2)
    assert verbs_of(state, MASTER2) == ["WipeJoiner", "DeleteNode", "JoinControlPlane", "MarkMember"]


def test_a_host_at_a_listed_members_address_is_no_former_member() -> None:
    state = former(healthy(), MASTER2)
    member = Member(id="7", name="", peer_urls=("https://10.0.0.102:2380",), learner=True)
    state = edit_etcd(state, lambda etcd: replace(etcd, members=(*(etcd.members or ()), member)))
    assert "WipeJoiner" not in {p.key.verb for p in plan(state).steps}


def test_while_it_joins_it_is_not_wiped() -> None:
    state = former(unmarked(healthy(), MASTER2), MASTER2)
    decided = decide.plan(SPEC, state, CREATE, frozenset({StepKey(JoinControlPlane, MASTER2)}))
    assert "WipeJoiner" not in {p.key.verb for p in decided.steps}


def test_what_may_hold_the_data_of_before_a_reset_is_not_wiped() -> None:
    """One of three lives and lists itself alone: the others may know what it lost."""
    state = former(lose(healthy(), MASTER3), MASTER2)
    state = without_member(state, 103)
    assert codes(state) == ["master.former"]


def test_the_data_of_another_authority_is_not_wiped() -> None:
    state = edit_facts(former(healthy(), MASTER2), MASTER2, lambda f: replace(f, disk=replace(f.disk, server_ca=None)))
    assert codes(state) == ["master.former"]


# --- more than one lost -----------------------------------------------------------------------------------------------


def test_of_five_two_lost_ones_are_replaced_one_member_after_the_other() -> None:
    state = lose(lose(healthy(FIVE), MASTER1), MASTER2)
    keys = in_order(state, FIVE)
    removals = [key.target for key in keys if key.verb == "RemoveMember"]
    joins = [key.target for key in keys if key.verb == "JoinControlPlane"]
    assert (removals, joins) == ([MASTER1, MASTER2], [MASTER1, MASTER2])
    assert keys.index(StepKey(RemoveMember, MASTER2)) < keys.index(StepKey(JoinControlPlane, MASTER1))


def test_a_learner_that_never_started_and_has_no_server_is_removed() -> None:
    member = Member(id="7", name="", peer_urls=("https://10.0.0.99:2380",), learner=True)
    state = edit_etcd(healthy(), lambda etcd: replace(etcd, members=(*(etcd.members or ()), member)))
    assert waves(state) == [["SaveSnapshot pre-repair-7"], ["RemoveMember nobody at 10.0.0.99"]]
    (removal,) = [p.step for p in forecast(state).waves[1]]
    assert isinstance(removal, RemoveMember)
    assert removal.member_id == "7"


def test_a_learner_without_an_address_is_removed_too() -> None:
    member = Member(id="7", name="", peer_urls=(), learner=True)
    state = edit_etcd(healthy(), lambda etcd: replace(etcd, members=(*(etcd.members or ()), member)))
    assert waves(state)[1:] == [["RemoveMember nobody at no address"]]


def test_such_a_learner_stays_while_quorum_is_not_sure() -> None:
    member = Member(id="7", name="", peer_urls=("https://10.0.0.99:2380",), learner=True)
    state = edit_etcd(
        former(lose(healthy(), MASTER3), MASTER2), lambda e: replace(e, members=(*(e.members or ()), member))
    )
    assert "member.removal-unsafe" in codes(state)


# --- a voter that we cannot look at -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_a_voter_that_its_peers_reach_is_left_alone_and_named(name: str) -> None:
    decided = plan(unreachable(healthy(), name, SshStage.TCP, "no answer: timed out"))
    assert decided.settled
    (told,) = decided.degraded
    peers = ", ".join(m for m in ALL if m != name)
    assert told.startswith(f"{name} (id {server_id_of(name)}, ")
    assert f"(no answer: timed out); it is an etcd voter that is well, connected to {peers}" in told


def test_everything_else_goes_on_beside_it() -> None:
    state = without_node(lose(unreachable(healthy(), MASTER2), WORKER1), WORKER1)
    assert "CreateServer " + WORKER1 in verbs(plan(state).steps)
    assert plan(state).degraded


def test_a_lost_master_is_replaced_beside_it_where_quorum_does_not_need_it() -> None:
    state = unreachable(lose(healthy(FIVE), MASTER1), MASTER2)
    assert StepKey(JoinControlPlane, MASTER1) in in_order(state, FIVE)


def test_where_quorum_needs_it_nothing_is_removed() -> None:
    assert codes(unreachable(lose(healthy(), MASTER1), MASTER2)) == ["member.removal-unsafe"]


def test_a_learner_that_we_cannot_look_at_is_no_such_voter() -> None:
    state = unreachable(healthy(), MASTER2)
    state = edit_etcd(
        state,
        lambda e: replace(e, members=tuple(replace(m, learner=m.id == member_id_of(102)) for m in e.members or ())),
    )
    assert codes(state) == ["master.unreachable"]
    assert plan(healthy()).degraded == ()


# --- rebuilt in place -------------------------------------------------------------------------------------------------


def rebuilt_at(seconds: float, *, registered: float | None = NOW - 1000) -> ClusterState:
    """Rebuild the second master at Hetzner some seconds ago; its Node registered long before."""
    state = edit_node(rebuilt(healthy(), MASTER2), MASTER2, lambda n: replace(n, created=registered))
    return replace(state, rebuilds={102: Known(NOW - seconds)})


def test_a_master_that_was_rebuilt_after_it_joined_is_led_back_on_its_own_server() -> None:
    assert verbs_of(rebuilt_at(60), MASTER2) == [
        "SecureHost",
        "SaveSnapshot",
        "InstallK3s",
        "RemoveMember",
        "DeleteNode",
        "JoinControlPlane",
        "MarkMember",
    ]


def test_before_it_has_its_host_key_nothing_of_it_is_removed() -> None:
    decided = plan(rebuilt_at(60))
    assert verbs(decided.steps) == [f"SecureHost {MASTER2}"]
    assert [w.because for w in decided.waits] == ["prod-master2 was rebuilt, and has yet to get its host key"]


@pytest.mark.parametrize(
    "state",
    [
        rebuilt_at(2000),
        rebuilt_at(60, registered=None),
        without_node(rebuilt_at(60), MASTER2),
        replace(rebuilt_at(60), rebuilds={102: Known(None)}),
        replace(rebuilt_at(60), rebuilds={102: Unknown("503", NOW)}),
        replace(rebuilt_at(60), rebuilds={}),
        edit_node(rebuilt_at(60), MASTER2, lambda n: replace(n, server_id=77, provider_id=None)),
    ],
    ids=["earlier", "Node without a date", "no Node", "never", "asked in vain", "not asked", "another server's Node"],
)
def test_a_boot_key_alone_proves_no_rebuild(state: ClusterState) -> None:
    assert "master.rebuilt" in codes(state)


# --- Nodes that do not go ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deleting", [False, True])
@pytest.mark.parametrize("name", [MASTER2, WORKER1])
def test_a_lost_node_is_released_once_its_member_is_gone(name: str, deleting: bool) -> None:
    state = edit_node(
        lose(without_member(healthy(), server_id_of(name)), name), name, lambda n: replace(n, deleting=deleting)
    )
    (step,) = [p.step for p in plan(state).steps if isinstance(p.step, DeleteNode)]
    assert (step.uid, step.release) == (f"uid-{server_id_of(name)}", True)


def test_a_node_whose_member_is_listed_is_not_released() -> None:
    """k3s removes the member before it lets the Node go; without its finalizer nobody would."""
    context = context_of(SPEC, lose(healthy(), MASTER2), CREATE, frozenset())
    assert isinstance(context, ServingContext)
    planned = stale_node(context, NamedServer(name=MASTER2, server=None, facts=None))
    assert planned is not None
    assert isinstance(planned.step, DeleteNode)
    assert not planned.step.release


# --- a birth that was cut off -----------------------------------------------------------------------------------------


def half_begun(**unit: object) -> ClusterState:
    """Cut the first start off after its certificates were written."""
    state = recorded(prepared(), BEGUN)
    disk = DiskFacts(config_present=True, server_ca=CA, token_hash="f" * 12)
    units = {"active": "activating", "sub": "start", **unit}
    return edit_facts(state, MASTER1, lambda f: replace(f, disk=disk, server_unit=UnitFacts(**units)))  # type: ignore[arg-type]


@pytest.mark.parametrize("unit", [{"active": "failed"}, {"sub": "auto-restart"}, {"restarts": 1}])
def test_a_birth_whose_first_start_left_certificates_and_no_log_is_not_gone_on_with(unit: dict[str, object]) -> None:
    assert codes(half_begun(**unit)) == ["birth.half-begun"]


def test_one_that_is_starting_right_now_is_gone_on_with() -> None:
    assert verbs(plan(half_begun()).steps) == [f"InitControlPlane {MASTER1}"]
    busy = decide.plan(SPEC, half_begun(active="failed"), CREATE, frozenset({StepKey(InitControlPlane, MASTER1)}))
    assert busy.refusals == ()


def test_a_server_made_by_hand_before_a_birth_is_another_gates_concern() -> None:
    assert "server.by-hand" not in codes(recorded(prepared(), BEGUN))
