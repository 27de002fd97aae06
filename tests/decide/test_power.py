"""What is off is powered on, and nothing else is done before it is back; what Hetzner changes is waited for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    MASTER2,
    MASTER3,
    ROLLOUT,
    SPEC,
    UPGRADE,
    VERSION,
    WORKER1,
    WORKER2,
    a_spec,
    codes,
    configured_otherwise,
    disconnected,
    edit_node,
    edit_server,
    forecast,
    healthy,
    in_order,
    lose,
    off,
    plan,
    ready,
    replacement_of,
    running_release,
    server_id_of,
    verbs,
    waves,
    with_reading,
    without_member,
    without_node,
    without_quorum,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.repair.power import CHANGE_DEADLINE
from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.host import Unreachable
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    CreateServer,
    JoinControlPlane,
    JoinWorker,
    MarkMember,
    PowerOn,
    ReconfigureWorker,
    RemoveMember,
    StageK3s,
)

ONE, FIVE = a_spec(1, 0), a_spec(5, 0)
OLDER = "v1.36.2+k3s1"


def changing(state: ClusterState, name: str, status: ServerStatus) -> ClusterState:
    return edit_server(off(state, name), name, lambda s: replace(s, status=status))


@pytest.mark.parametrize("name", [MASTER1, MASTER2, MASTER3])
def test_a_master_that_is_off_gets_power_and_nothing_is_left_to_do(name: str) -> None:
    assert waves(off(healthy(), name)) == [[f"PowerOn {name}"]]


def test_the_power_names_the_server_by_its_id_and_the_master_whose_api_is_asked() -> None:
    (step,) = [p.step for p in plan(off(healthy(), MASTER1)).steps]
    assert step == PowerOn(target=MASTER1, server_id=101, joined=True, via=102)


def test_with_quorum_lost_all_masters_that_are_off_get_power_at_once() -> None:
    state = without_quorum(off(off(healthy(), MASTER1), MASTER2))
    assert verbs(plan(state).steps) == [f"PowerOn {MASTER1}", f"PowerOn {MASTER2}"]
    assert {p.step.via for p in plan(state).steps if isinstance(p.step, PowerOn)} == {None}


def test_the_only_master_gets_power() -> None:
    assert verbs(plan(off(healthy(ONE), MASTER1), ONE).steps) == [f"PowerOn {MASTER1}"]


def test_power_comes_before_the_repair_of_a_lost_master_and_that_is_shown_too() -> None:
    state = off(lose(healthy(FIVE), MASTER1), MASTER2)
    assert waves(state, FIVE)[0] == [f"PowerOn {MASTER2}"]
    assert StepKey(MarkMember, MASTER1) in in_order(state, FIVE)


def test_beside_a_master_that_gets_power_nothing_else_is_planned() -> None:
    state = without_node(lose(off(healthy(), MASTER2), WORKER1), WORKER1)
    assert verbs(plan(state).steps) == [f"PowerOn {MASTER2}"]
    assert StepKey(CreateServer, WORKER1) in in_order(state)


def test_while_it_gets_power_it_is_not_judged_although_its_host_is_silent() -> None:
    state = disconnected(with_reading(healthy(), MASTER2, Unreachable(SshStage.TCP, "connection refused")), 102)
    decided = decide.plan(SPEC, state, CREATE, frozenset({StepKey(PowerOn, MASTER2)}))
    assert (decided.steps, decided.refusals) == ((), ())
    assert codes(state) == ["master.unreachable"]


def test_a_former_master_stays_off_while_a_quorum_lists_no_member_of_its_name() -> None:
    assert codes(off(without_member(healthy(), 102), MASTER2)) == ["master.former"]


def test_a_worker_that_is_off_gets_power_beside_everything_else() -> None:
    state = off(healthy(), WORKER1)
    assert waves(state) == [[f"PowerOn {WORKER1}"]]
    assert "CreateServer prod-master1" in verbs(plan(without_member(lose(state, MASTER1), 101)).steps)


def test_what_is_done_beside_a_worker_that_gets_power_is_shown_to_its_end() -> None:
    assert StepKey(JoinWorker, WORKER1) in in_order(off(lose(healthy(), WORKER1), WORKER2))


@pytest.mark.parametrize("name", [MASTER2, WORKER1])
def test_the_upgrade_of_a_server_that_gets_power_is_shown_to_its_end(name: str) -> None:
    state = healthy()
    for server in SPEC.servers():
        state = running_release(state, server.name, OLDER)
    shown = [key.verb for key in in_order(off(state, name), intent=UPGRADE) if key.target == name]
    assert shown[:2] == ["PowerOn", "StageK3s"]
    assert {"ReconfigureMaster", "ReconfigureWorker"} & {*shown}


def test_it_is_said_that_a_rollout_is_not_foreseen_where_no_master_serves() -> None:
    state = without_quorum(off(off(healthy(), MASTER1), MASTER2))
    (note,) = plan(state, intent=UPGRADE).notes
    assert f"seen only when this run has brought back {MASTER1}, {MASTER2}" in note
    assert plan(state).notes == ()
    assert plan(off(healthy(), MASTER1), intent=UPGRADE).notes == ()


@pytest.mark.parametrize("name", [MASTER2, WORKER1])
def test_its_node_tells_which_release_it_is_of(name: str) -> None:
    state = off(edit_node(healthy(), name, lambda node: replace(node, version=OLDER)), name)
    assert StepKey(StageK3s, name) in in_order(state, intent=UPGRADE)
    last = off(edit_node(running_release(healthy(), MASTER1, OLDER), name, with_its_version), name)
    assert StepKey(StageK3s, name) not in in_order(last, intent=UPGRADE)


def with_its_version(node: KubeNode) -> KubeNode:
    return replace(node, version=VERSION)


def test_the_restart_of_a_worker_that_gets_power_is_shown_where_those_of_its_pool_wait_for_one() -> None:
    state = off(configured_otherwise(healthy(), WORKER1, WORKER2), WORKER1)
    assert StepKey(ReconfigureWorker, WORKER1) in in_order(state, intent=ROLLOUT)
    assert waves(off(healthy(), WORKER1), intent=ROLLOUT) == [[f"PowerOn {WORKER1}"]]


def test_a_server_that_never_joined_and_is_off_gets_power_and_goes_on() -> None:
    state = ready(without_node(without_member(lose(healthy(), MASTER3), 103), MASTER3), SPEC, MASTER3, 1_000_103)
    state = with_reading(edit_server(state, MASTER3, lambda s: replace(s, status=ServerStatus.OFF)), MASTER3, None)
    (step,) = [p.step for p in plan(state).steps if isinstance(p.step, PowerOn)]
    assert step == PowerOn(target=MASTER3, server_id=replacement_of(MASTER3), joined=False, via=None)
    assert StepKey(MarkMember, MASTER3) in in_order(state)


@pytest.mark.parametrize("status", [ServerStatus.STARTING, ServerStatus.MIGRATING, ServerStatus.INITIALIZING])
@pytest.mark.parametrize("name", [MASTER2, WORKER1])
def test_a_server_that_hetzner_changes_is_waited_for(name: str, status: ServerStatus) -> None:
    decided = plan(changing(healthy(), name, status))
    assert (decided.steps, decided.refusals) == ((), ())
    (wait,) = decided.waits
    assert (wait.what, wait.deadline) == (f"{name} to come to rest at Hetzner", CHANGE_DEADLINE)
    assert wait.because == f"Hetzner shows it as {status.value}"


def test_what_is_stopping_is_waited_for_and_then_gets_power() -> None:
    shown = forecast(changing(healthy(), MASTER2, ServerStatus.STOPPING))
    assert shown.waits
    assert [verbs(wave) for wave in shown.waves] == [[f"PowerOn {MASTER2}"]]


def test_what_is_being_deleted_is_waited_for_and_then_repaired_like_any_loss() -> None:
    state = changing(healthy(), MASTER2, ServerStatus.DELETING)
    assert plan(state).waits
    assert StepKey(RemoveMember, MASTER2) in in_order(state)
    assert StepKey(JoinControlPlane, MASTER2) in in_order(state)


def test_a_fresh_server_that_is_being_deleted_is_waited_for_too() -> None:
    state = ready(without_node(without_member(lose(healthy(), MASTER3), 103), MASTER3), SPEC, MASTER3, 1_000_103)
    state = edit_server(state, MASTER3, lambda s: replace(s, status=ServerStatus.DELETING))
    assert [wait.because for wait in plan(state).waits] == ["Hetzner shows it as deleting"]
    assert StepKey(CreateServer, MASTER3) in in_order(state)


def test_the_way_of_a_cluster_without_quorum_ends_with_the_power() -> None:
    """Whether a quorum comes back is not known: the next run decides on what is then seen."""
    assert waves(without_quorum(off(off(healthy(), MASTER1), MASTER2))) == [
        [f"PowerOn {MASTER1}", f"PowerOn {MASTER2}"]
    ]
    assert server_id_of(MASTER1) == 101
