"""A Node may be written by its own kubelet: what it claims is believed where Hetzner agrees, and named where not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.oddities import named
from tests.decide.world import (
    MASTER1,
    MASTER2,
    MASTER3,
    NOW,
    PRUNE,
    SPEC,
    WORKER1,
    WORKER2,
    a_spec,
    address_of,
    codes,
    edit_node,
    edit_server,
    forecast,
    healthy,
    in_order,
    joining,
    lose,
    not_ready,
    plan,
    replacement_of,
    server_id_of,
    unreachable,
    waves,
)

from hetzner_k3s.decide.status.report import report
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.plan import Intent, StepKey, Verb
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DeleteNode, JoinControlPlane

NOBODY = 999
DELETE = ("elete that server", "elete it at Hetzner")


def claiming(state: ClusterState, name: str, claimed: int) -> ClusterState:
    """Let a Node name a server in our annotation; it registered a minute after the server of its name was made."""
    state = edit_server(state, name, lambda s: replace(s, created=NOW))
    return edit_node(state, name, lambda n: replace(n, server_id=claimed, created=NOW + 60))


def gone(state: ClusterState) -> ClusterState:
    return replace(state, lookups={**state.lookups, NOBODY: Known(False)})


def lies(state: ClusterState) -> list[str]:
    told = report(SPEC, state, Intent(verb=Verb.CREATE), forecast(state)).drift
    return [drift.saw for drift in told if drift.code == "node-claim"]


@pytest.mark.parametrize("name", [WORKER1, MASTER2])
@pytest.mark.parametrize("ready", [True, False])
def test_a_healthy_node_that_names_a_server_which_is_no_more_is_not_deleted(name: str, ready: bool) -> None:
    state = gone(claiming(healthy(), name, NOBODY))
    state = state if ready else not_ready(state, name)
    assert not any(key.verb in {"DeleteNode", "RemoveMember"} for key in in_order(state))
    assert lies(state) == [
        f"the Node {name} claims to be of server {NOBODY}, and the server of its name (id {server_id_of(name)}) runs "
        "it. The claim is not believed; a kubelet can write its own Node, so look at who changed it"
    ]
    assert not ready or (plan(state).steps, plan(state).refusals) == ((), ())


@pytest.mark.parametrize("aged", [True, False])
def test_a_worker_that_calls_itself_a_master_holds_nothing_up(aged: bool) -> None:
    """A lost master is replaced beside it, and nobody is told to delete the master that it names."""
    state = claiming(lose(healthy(), MASTER3), WORKER1, server_id_of(MASTER2))
    state = state if aged else edit_node(state, WORKER1, lambda n: replace(n, created=None))
    assert codes(state) == []
    assert StepKey(JoinControlPlane, MASTER3) in in_order(state)
    assert not any(key.target == WORKER1 for key in in_order(state))
    assert len(lies(state)) == 1


def test_it_may_write_the_address_of_the_master_too() -> None:
    address = address_of(server_id_of(MASTER2))
    state = claiming(healthy(), WORKER1, server_id_of(MASTER2))
    state = edit_node(state, WORKER1, lambda n: replace(n, internal_ip=address))
    for refusal in plan(state).refusals:
        assert not any(words in refusal.you_can for words in DELETE), refusal
    assert not any(key.target in {MASTER1, MASTER2, MASTER3} for key in in_order(state))
    assert len(lies(state)) == 1


@pytest.mark.parametrize("address", ["10.0.0.201", "10.9.9.9"])
def test_a_silent_worker_whose_node_names_nobody_keeps_its_node(address: str) -> None:
    """No living machine but itself can have registered under its name since it was made."""
    state = gone(claiming(unreachable(healthy(), WORKER1), WORKER1, NOBODY))
    state = edit_node(state, WORKER1, lambda n: replace(n, internal_ip=address))
    assert codes(state) == ["worker.unreachable"]
    assert in_order(state) == []


def test_a_lost_workers_node_that_named_a_master_is_deleted_as_its_own() -> None:
    state = claiming(healthy(), WORKER1, server_id_of(MASTER2))
    state = lose(state, WORKER1)
    assert codes(state) == []
    assert StepKey(DeleteNode, WORKER1) in in_order(state)
    assert not any(key.target == MASTER2 for key in in_order(state))


def test_a_predecessors_node_goes_though_its_successor_has_its_address() -> None:
    """Killed between the agent's start and the end of the old Node: that one is older than the server."""
    new = replacement_of(WORKER1)
    state = joining(lose(healthy(), WORKER1), SPEC, WORKER1, new)
    state = edit_server(state, WORKER1, lambda s: replace(s, created=NOW))
    state = edit_node(state, WORKER1, lambda n: replace(n, created=NOW - 60))
    assert [key.target for key in in_order(state) if key.verb == "DeleteNode"] == [WORKER1]
    assert lies(state) == []


def test_a_server_under_another_name_is_still_what_its_node_says() -> None:
    state = named(claiming(healthy(), WORKER1, server_id_of(WORKER1)), WORKER1, "keep-me")
    assert codes(state) == ["node.unexplained"]
    assert lies(state) == []


def test_a_worker_beyond_the_file_cannot_leave_its_drain_out() -> None:
    """Its Node says that it is another server's: without its claim being dropped, it went without its pods moved."""
    state = claiming(healthy(), WORKER2, server_id_of(MASTER2))
    assert waves(state, a_spec(3, 1), PRUNE)[0] == [f"CordonNode {WORKER2}"]
