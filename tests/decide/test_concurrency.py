"""Steps under way are counted: one at a time on a host, one at a time about who the control plane is."""

from __future__ import annotations

from tests.decide.test_birth import BEGUN, prepared
from tests.decide.world import (
    CREATE,
    FIRST_MASTER,
    MASTER1,
    MASTER2,
    SPEC,
    WORKER1,
    a_spec,
    healthy,
    lose,
    ready,
    recorded,
    replacement_of,
    server_id_of,
    with_snapshot,
    without_member,
    without_node,
)

from hetzner_k3s import decide
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    CreateServer,
    DeleteNode,
    InitControlPlane,
    InstallK3s,
    JoinControlPlane,
    JoinWorker,
    RecordBirth,
    RemoveMember,
)


def beside(state: ClusterState, *in_flight: StepKey, spec: ClusterSpec = SPEC) -> list[StepKey]:
    steps = decide.plan(spec, state, CREATE, frozenset(in_flight)).steps
    return [p.key for p in steps if p.key.verb != "WriteKubeconfig"]


def test_what_is_under_way_is_not_started_again() -> None:
    assert beside(recorded(prepared(), BEGUN), StepKey(InitControlPlane, MASTER1)) == []


def test_a_host_that_looks_ready_before_its_installation_ended_is_let_be() -> None:
    assert beside(recorded(prepared(), BEGUN), StepKey(InstallK3s, MASTER1)) == []
    state = ready(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, replacement_of(WORKER1))
    assert beside(state, StepKey(InstallK3s, WORKER1)) == []
    assert beside(state, StepKey(InstallK3s, MASTER1)) == [StepKey(JoinWorker, WORKER1)]


def test_no_birth_while_the_record_is_being_written() -> None:
    assert beside(recorded(prepared(), BEGUN), StepKey(RecordBirth, "bootstrapping")) == []


def test_no_removal_beside_a_join() -> None:
    spec = a_spec(5, 0)
    lost = ready(
        with_snapshot(lose(healthy(spec), MASTER1), MASTER2, FIRST_MASTER), spec, MASTER1, replacement_of(MASTER1)
    )
    assert beside(lost, spec=spec) == [StepKey(RemoveMember, MASTER1)]
    assert beside(lost, StepKey(JoinControlPlane, "prod-master5"), spec=spec) == []


def test_in_a_repair_no_join_beside_another_one_that_has_not_ended() -> None:
    """The other joiner is a voter already, and its join still waits for all masters to see it."""
    spec = a_spec(5, 0)
    lost = "prod-master4"
    state = without_node(without_member(lose(healthy(spec), lost), server_id_of(lost)), lost)
    state = ready(state, spec, lost, replacement_of(lost))
    assert beside(state, spec=spec) == [StepKey(JoinControlPlane, lost)]
    assert beside(state, StepKey(JoinControlPlane, "prod-master5"), spec=spec) == []


def test_no_join_while_the_way_for_it_is_cleared() -> None:
    state = without_node(without_member(lose(healthy(), MASTER1), FIRST_MASTER), MASTER1)
    state = ready(state, SPEC, MASTER1, replacement_of(MASTER1))
    assert StepKey(JoinControlPlane, MASTER1) in beside(state)
    for cleared in (DeleteNode, RemoveMember):
        assert StepKey(JoinControlPlane, MASTER1) not in beside(state, StepKey(cleared, MASTER1))


def test_workers_do_not_wait_for_the_control_plane() -> None:
    state = lose(healthy(), WORKER1)
    assert StepKey(CreateServer, WORKER1) in beside(state, StepKey(JoinControlPlane, MASTER2))
