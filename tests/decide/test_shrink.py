"""Letting go what is beyond the file: one master at a time, the dead first, only where the others are well."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    ADDONS,
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    MASTER3,
    NETWORK,
    PRUNE,
    SPEC,
    WORKER1,
    WORKER2,
    a_spec,
    booting,
    edit_etcd,
    edit_facts,
    edit_kube,
    edit_node,
    edit_server,
    forecast,
    healthy,
    in_order,
    joining,
    lose,
    member_id_of,
    not_ready,
    off,
    plan,
    ready,
    server_id_of,
    server_of,
    verbs,
    waves,
    with_server,
    without_member,
    without_node,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.view import extra_servers
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.host import EtcdFacts, Member, Snapshot, UnitFacts
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.plan import Scope, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    CordonNode,
    DeleteNode,
    DrainNode,
    JoinControlPlane,
    JoinWorker,
    MarkMember,
    RemoveMember,
    RetireMember,
    SaveSnapshot,
    UnmarkMember,
    WriteKubeconfig,
)

ONE = a_spec(1, 0)
THREE = a_spec(3, 0)
FIVE = a_spec(5, 0)
MASTER4, MASTER5 = "prod-master4", "prod-master5"


def steps(state: ClusterState, spec: ClusterSpec = THREE) -> list[str]:
    planned = plan(state, spec, PRUNE)
    assert not planned.refusals, planned.refusals
    return [verb for verb in verbs(planned.steps) if not verb.startswith(("WriteKubeconfig", "MarkMember"))]


def codes(state: ClusterState, spec: ClusterSpec = THREE) -> list[str]:
    return [refusal.code for refusal in plan(state, spec, PRUNE).refusals]


def leaving(state: ClusterState, name: str, stage: Leaving | None) -> ClusterState:
    return edit_node(state, name, lambda node: replace(node, leaving=stage))


def unlabelled(state: ClusterState, name: str) -> ClusterState:
    def without(server: Server) -> Server:
        return replace(server, labels={k: v for k, v in server.labels.items() if k != naming.LABEL_STATE})

    return edit_server(state, name, without)


def saved(state: ClusterState, name: str) -> ClusterState:
    snapshot = Snapshot(name=f"pre-prune-{member_id_of(server_id_of(name))}-x-1", size=5, created=1.0)
    return edit_facts(state, MASTER1, lambda facts: replace(facts, snapshots=(snapshot,)))


def emptied(state: ClusterState, name: str) -> ClusterState:
    """Let a master be off the balancer, drained, and a snapshot be saved."""
    return saved(leaving(unlabelled(state, name), name, Leaving.DRAINED), name)


def retired(state: ClusterState, name: str) -> ClusterState:
    """Let its member be removed and its k3s be stopped."""
    state = without_member(emptied(state, name), server_id_of(name))
    return edit_facts(state, name, lambda f: replace(f, server_unit=UnitFacts(active="inactive"), etcd=EtcdFacts()))


def test_a_master_goes_step_by_step_the_highest_number_first() -> None:
    keys = [key for key in in_order(healthy(FIVE), THREE, PRUNE) if key.kind not in {MarkMember, WriteKubeconfig}]
    assert [(key.verb, key.target) for key in keys] == [
        (verb, f"pre-prune-{member_id_of(server_id_of(name))}" if verb == "SaveSnapshot" else name)
        for name in (MASTER5, MASTER4)
        for verb in (
            "UnmarkMember",
            "CordonNode",
            "DrainNode",
            "SaveSnapshot",
            "RetireMember",
            "DeleteNode",
            "DeleteServer",
        )
    ]


def test_three_become_one() -> None:
    gone = [key.target for key in in_order(healthy(THREE), ONE, PRUNE) if key.verb == "DeleteServer"]
    assert gone == [MASTER3, MASTER2]


@pytest.mark.parametrize(
    ("point", "state", "expected"),
    [
        ("labelled", healthy(FIVE), f"UnmarkMember {MASTER5}"),
        ("off the balancer", unlabelled(healthy(FIVE), MASTER5), f"CordonNode {MASTER5}"),
        ("cordoned", leaving(unlabelled(healthy(FIVE), MASTER5), MASTER5, Leaving.CORDONED), f"DrainNode {MASTER5}"),
        ("emptied", emptied(healthy(FIVE), MASTER5), f"RetireMember {MASTER5}"),
        (
            "its Node gone",
            saved(unlabelled(without_node(healthy(FIVE), MASTER5), MASTER5), MASTER5),
            f"RetireMember {MASTER5}",
        ),
        ("retired", retired(healthy(FIVE), MASTER5), f"DeleteNode {MASTER5}"),
        ("retired, the Node gone", without_node(retired(healthy(FIVE), MASTER5), MASTER5), f"DeleteServer {MASTER5}"),
        ("a lower one half gone", retired(healthy(FIVE), MASTER4), f"DeleteNode {MASTER4}"),
        ("never joined", ready(healthy(a_spec(4, 0)), FIVE, MASTER5), f"DeleteServer {MASTER5}"),
    ],
)
def test_a_half_made_way_is_gone_on_with(point: str, state: ClusterState, expected: str) -> None:
    assert steps(state) == [expected]


def test_every_step_but_the_users_own_shows_the_flag_that_permits_it() -> None:
    for wave in forecast(healthy(a_spec(5, 2)), a_spec(3, 1), PRUNE).waves:
        for planned in wave:
            own = planned.key.verb in {"MarkMember", "WriteKubeconfig"}
            assert planned.consent == (None if own else Prune()), planned.key


def test_without_the_flag_nothing_goes_and_what_was_begun_is_named() -> None:
    state = leaving(unlabelled(healthy(a_spec(4, 2)), MASTER4), MASTER4, Leaving.CORDONED)
    shown = plan(leaving(state, WORKER2, Leaving.DRAINED), a_spec(3, 1))
    assert [step.key.verb for step in shown.steps] == ["WriteKubeconfig"]
    assert shown.notes == (
        f"{MASTER4} is beyond the file and is left as it is: a healthy voter; an unfinished --prune left it taken "
        "off the API load balancer and cordoned: run it again to let it go",
        f"{WORKER2} is beyond the file and is left as it is; an unfinished --prune left it cordoned: run it again to "
        "let it go",
    )


@pytest.mark.parametrize(
    ("state", "found"),
    [
        (without_member(lose(healthy(FIVE), MASTER5), 105), "only its Node is left"),
        (
            retired(healthy(FIVE), MASTER5),
            "no member of etcd; an unfinished --prune left it cordoned: run it again to let it go",
        ),
        (
            edit_facts(healthy(FIVE), MASTER5, lambda f: replace(f, etcd=EtcdFacts(member_id=member_id_of(105)))),
            "its etcd member is not healthy (not ready)",
        ),
    ],
)
def test_a_note_tells_how_a_master_is_found(state: ClusterState, found: str) -> None:
    notes = [note for note in plan(state, a_spec(4, 0)).notes if MASTER5 in note]
    assert notes == [f"{MASTER5} is beyond the file and is left as it is: {found}"]


def test_the_member_is_removed_on_the_list_it_was_decided_on_and_the_seed_is_the_heir() -> None:
    (planned,) = [p for p in plan(emptied(healthy(FIVE), MASTER5), THREE, PRUNE).steps if p.key.verb == "RetireMember"]
    assert isinstance(planned.step, RetireMember)
    assert planned.step.member_id == member_id_of(105)
    assert planned.step.via == FIRST_MASTER
    assert planned.step.heir == member_id_of(FIRST_MASTER)
    assert planned.step.precondition.ids == tuple(sorted(map(member_id_of, range(101, 106))))
    assert planned.because == "it is beyond the file, and the 4 others are healthy voters; 1 of them may then fail"


def test_the_dead_go_before_the_living_and_need_a_snapshot_too() -> None:
    state = lose(healthy(FIVE), MASTER4)
    (first,) = [p.step for p in plan(state, THREE, PRUNE).steps if p.key.verb == "SaveSnapshot"]
    assert isinstance(first, SaveSnapshot)
    (removal,) = [p.step for p in plan(saved(state, MASTER4), THREE, PRUNE).steps if p.key.verb == "RemoveMember"]
    assert isinstance(removal, RemoveMember)
    assert removal.member_id == member_id_of(104)
    assert steps(without_member(state, 104)) == [f"DeleteNode {MASTER4}"]


def test_the_node_of_a_dead_one_goes_when_its_server_is_proven_gone() -> None:
    state = without_member(lose(healthy(a_spec(4, 0)), MASTER4), 104)
    (planned,) = [p.step for p in plan(state, THREE, PRUNE).steps if p.key.verb == "DeleteNode"]
    assert isinstance(planned, DeleteNode)
    assert planned.uid == "uid-104"
    assert steps(replace(state, lookups={104: Unknown("500", 1.0)})) == []


def test_a_dead_one_beyond_the_file_goes_before_a_new_one_joins() -> None:
    moved_on = replace(THREE, masters=(*FIVE.masters[:2], replace(FIVE.masters[2], name="prod-master6", index=6)))
    state = saved(lose(healthy(THREE), MASTER3), MASTER3)
    assert f"RemoveMember {MASTER3}" in steps(state, moved_on)
    later = without_node(without_member(state, 103), MASTER3)
    assert StepKey(JoinControlPlane, "prod-master6") in in_order(later, moved_on, PRUNE)


def test_a_lost_master_of_the_file_is_replaced_before_one_beyond_it_goes() -> None:
    way = in_order(lose(healthy(THREE), MASTER1), ONE, PRUNE)
    assert way.index(StepKey(JoinControlPlane, MASTER1)) < way.index(StepKey(UnmarkMember, MASTER3))


def test_while_the_api_is_silent_nothing_goes() -> None:
    state = replace(healthy(FIVE), kube={FIRST_MASTER: Unknown("timed out", 1.0)})
    assert steps(state) == []
    assert steps(replace(healthy(a_spec(3, 2)), kube={}), a_spec(3, 1)) == []
    assert StepKey(RetireMember, MASTER5) in forecast(state, THREE, PRUNE).keys


def test_where_nobody_answers_nothing_is_said_of_what_is_beyond_the_file() -> None:
    state = edit_etcd(healthy(FIVE), lambda etcd: EtcdFacts(healthy=False, member_id=etcd.member_id))
    assert "masters.none-healthy" in codes(replace(state, kube={}))
    assert not [code for code in codes(replace(state, kube={})) if code.startswith("surplus")]


def test_a_learner_keeps_all_from_going() -> None:
    learner = edit_etcd(
        emptied(healthy(FIVE), MASTER5),
        lambda e: replace(e, members=tuple(replace(m, learner=m.id == member_id_of(104)) for m in e.members or ())),
    )
    assert codes(learner) == ["surplus.unwell"]


def test_what_is_done_about_a_master_of_the_file_comes_first_and_is_named() -> None:
    """A master beyond the file that is not well stops nothing then; it is spoken of when the others are members."""
    state = off(lose(healthy(THREE), MASTER1), MASTER3)
    shown = plan(state, ONE, PRUNE)
    assert not [r.code for r in shown.refusals if r.code.startswith("surplus")]
    assert [note for note in shown.notes if MASTER3 in note] == [
        f"{MASTER3} is beyond the file and stays until every master of the file is a member: {MASTER1} is absent"
    ]


def test_a_dead_one_is_waited_with_while_somebody_is_half_joined() -> None:
    wish = replace(THREE, masters=(*FIVE.masters[:2], replace(FIVE.masters[2], name="prod-master6", index=6)))
    learner = Member(id="7", name="", peer_urls=("https://10.0.0.106:2380",), learner=True)
    state = joining(lose(healthy(THREE), MASTER3), wish, "prod-master6")
    state = edit_etcd(state, lambda e: replace(e, members=(*(e.members or ()), learner)))
    shown = plan(state, wish, PRUNE)
    assert f"the control plane to settle before the member of {MASTER3} goes" in [wait.what for wait in shown.waits]
    assert "RemoveMember" not in {step.key.verb for step in shown.steps}


def test_two_in_flight_steps_never_are_about_one_way_out() -> None:
    state = retired(healthy(a_spec(4, 0)), MASTER4)
    in_flight = frozenset({StepKey(RetireMember, MASTER4)})
    verbs_beside = {p.key.verb for p in decide.plan(THREE, state, PRUNE, in_flight).steps}
    assert "DeleteNode" not in verbs_beside


def test_a_worker_beyond_the_file_is_drained_and_deleted_beside_the_others() -> None:
    shown = waves(healthy(a_spec(3, 3)), a_spec(3, 1), PRUNE)
    workers = [WORKER2, "prod-pool-small-worker3"]
    assert shown == [[f"{v} {n}" for n in workers] for v in ("CordonNode", "DrainNode", "DeleteNode", "DeleteServer")]


def test_the_node_of_a_worker_beyond_the_file_goes_when_its_server_is_proven_gone() -> None:
    state = lose(healthy(), WORKER2)
    (planned,) = [p for p in plan(state, a_spec(3, 1), PRUNE).steps if p.key == StepKey(DeleteNode, WORKER2)]
    assert planned.scope is Scope.WORKER
    doubtful = replace(state, lookups={server_id_of(WORKER2): Unknown("500", 1.0)})
    assert steps(doubtful, a_spec(3, 1)) == []


def test_a_silent_kubelet_is_told_to_the_drain() -> None:
    state = not_ready(leaving(healthy(), WORKER2, Leaving.CORDONED), WORKER2)
    (planned,) = [p.step for p in plan(state, a_spec(3, 1), PRUNE).steps if isinstance(p.step, DrainNode)]
    assert not planned.answers


def test_one_whose_k3s_would_join_again_goes_before_its_node() -> None:
    """A run was killed between the removal of its member and the end of its k3s."""
    assert steps(running_on(retired(healthy(FIVE), MASTER5))) == [f"DeleteServer {MASTER5}"]


def test_nor_does_it_go_while_its_node_may_be_another_machines() -> None:
    state = running_on(retired(healthy(FIVE), MASTER5))
    state = edit_node(state, MASTER5, lambda n: replace(n, server_id=999, ready=False))
    assert f"DeleteServer {MASTER5}" not in verbs(plan(replace(state, lookups={999: Known(True)}), THREE, PRUNE).steps)


def running_on(state: ClusterState) -> ClusterState:
    """Let the k3s of a retired master5 run still."""
    return edit_facts(
        state,
        MASTER5,
        lambda f: replace(f, server_unit=UnitFacts(active="active"), disk=replace(f.disk, tombstone=True)),
    )


def test_a_worker_whose_name_another_machines_node_has_is_left() -> None:
    state = edit_node(healthy(), WORKER2, lambda n: replace(n, server_id=999, ready=False))
    assert steps(replace(state, lookups={999: Known(True)}), a_spec(3, 1)) == []


def test_a_secret_without_its_node_goes_before_the_server() -> None:
    state = edit_kube(healthy(), lambda v: replace(v, nodes=tuple(n for n in v.nodes if n.name != WORKER2)))
    (planned,) = plan(state, a_spec(3, 1), PRUNE).steps
    assert planned.step == DeleteNode(target=WORKER2, uid=None, via=FIRST_MASTER)


def test_no_worker_goes_while_one_of_the_file_is_not_there_to_take_its_pods() -> None:
    assert steps(healthy(a_spec(3, 2)), replace(a_spec(3, 1), pools=(replace(a_spec(3, 3).pools[0]),))) != []
    moved = replace(
        SPEC.pools[0], workers=(replace(SPEC.pools[0].workers[0], name="prod-pool-big-worker1", pool="big"),)
    )
    way = in_order(healthy(), replace(SPEC, pools=(moved,)), PRUNE)
    assert way.index(StepKey(JoinWorker, "prod-pool-big-worker1")) < way.index(StepKey(CordonNode, WORKER1))


def test_what_is_wanted_again_is_taken_back() -> None:
    state = leaving(leaving(unlabelled(healthy(), MASTER3), MASTER3, Leaving.DRAINED), WORKER1, Leaving.CORDONED)
    assert waves(state) == [[f"MarkMember {MASTER3}", f"UncordonNode {MASTER3}", f"UncordonNode {WORKER1}"]]


def test_names_beyond_the_file_are_of_the_files_own_kind() -> None:
    assert SPEC.master_beyond("prod-master7") is not None
    for name in (MASTER1, "prod-master07", "prod-masterx", "prod-cpx22-master4", "other-master4"):
        assert SPEC.master_beyond(name) is None
    labels = naming.server_labels("prod", naming.ROLE_WORKER)
    auto = Server(
        id=7, name="prod-pool-x-worker1", status=ServerStatus.RUNNING, labels={**labels, "hcloud/node-group": "x"}
    )
    other = Server(id=8, name="prod-somebody", status=ServerStatus.RUNNING, labels=labels)
    view = with_server(with_server(healthy(), auto), other).view
    assert list(extra_servers.surplus_workers(SPEC, view)) == []


def test_a_voter_that_is_being_deleted_by_hand_is_dead_only_when_it_is_gone() -> None:
    def deleting(server: Server) -> Server:
        return replace(server, status=ServerStatus.DELETING)

    going = edit_server(emptied(healthy(a_spec(4, 0)), MASTER4), MASTER4, deleting)
    assert steps(going) == []
    assert [wait.what for wait in plan(going, THREE, PRUNE).waits] == [f"the end of {MASTER4}"]
    gone_on_with = edit_server(without_node(retired(healthy(a_spec(4, 0)), MASTER4), MASTER4), MASTER4, deleting)
    assert steps(gone_on_with) == [f"DeleteServer {MASTER4}"]


def test_a_member_whose_own_host_does_not_say_that_it_votes_stays() -> None:
    state = unlabelled(healthy(FIVE), MASTER5)
    silent = edit_facts(state, MASTER5, lambda f: replace(f, etcd=EtcdFacts(member_id=member_id_of(105))))
    assert codes(silent) == ["surplus.unwell"]


def test_a_server_that_was_not_looked_at_is_not_deleted() -> None:
    assert codes(booting(healthy(THREE), FIVE, MASTER5)) == ["surplus.unwell"]
    alone = with_server(healthy(THREE), replace(server_of(FIVE, MASTER5), private_ips={NETWORK: "10.0.0.105"}))
    assert codes(alone) == ["surplus.unwell"]


def test_with_nothing_beyond_the_file_the_flag_changes_nothing() -> None:
    assert plan(healthy(), SPEC, PRUNE).settled
    assert PRUNE.addons == ADDONS == CREATE.addons
