"""Workers: each by itself, and never at the control plane's cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    FIRST_WORKER,
    MASTER1,
    SPEC,
    UID,
    WORKER1,
    WORKER2,
    a_spec,
    bare,
    booting,
    codes,
    edit_facts,
    edit_kube,
    edit_node,
    forecast,
    healthy,
    in_order,
    joining,
    lose,
    plan,
    ready,
    replacement_of,
    verbs,
    waves,
    with_boot_key,
    without_node,
)

from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.plan import Scope, StepKey
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CreateServer, DeleteNode, InstallK3s, JoinWorker

NEW = replacement_of(WORKER1)


def test_a_lost_worker_is_made_anew_and_its_node_deleted_meanwhile() -> None:
    assert waves(lose(healthy(), WORKER1)) == [
        [f"CreateServer {WORKER1}", f"DeleteNode {WORKER1}"],
        [f"SecureHost {WORKER1}"],
        [f"InstallK3s {WORKER1}"],
        [f"JoinWorker {WORKER1}"],
    ]


def test_the_node_to_delete_is_named_by_its_uid() -> None:
    (step,) = [p.step for p in plan(lose(healthy(), WORKER1)).steps if isinstance(p.step, DeleteNode)]
    assert step.uid == f"uid-{FIRST_WORKER}"


def test_more_workers_in_the_file_are_made_and_the_others_left_alone() -> None:
    spec = a_spec(3, 4)
    keys = in_order(healthy(SPEC), spec)
    assert {key.target.rpartition("-")[2] for key in keys if "worker" in key.target} == {
        "worker3",
        "worker4",
    }
    assert keys[-1] == StepKey(JoinWorker, "prod-pool-small-worker4")


def test_a_pool_that_is_new_gets_its_placement_group_first() -> None:
    shown = waves(healthy(a_spec(3, 0)), a_spec(3, 1))
    assert shown[0] == ["EnsurePlacementGroup prod-pool-small-workers-pg1"]
    assert shown[1] == [f"CreateServer {WORKER1}"]


@pytest.mark.parametrize(
    ("point", "state", "expected"),
    [
        ("while it boots", booting(lose(healthy(), WORKER1), SPEC, WORKER1, NEW), ["DeleteNode", "SecureHost"]),
        (
            "with its boot key",
            with_boot_key(lose(healthy(), WORKER1), SPEC, WORKER1, NEW),
            ["DeleteNode", "SecureHost"],
        ),
        ("without k3s", bare(lose(healthy(), WORKER1), SPEC, WORKER1, NEW), ["DeleteNode", "InstallK3s"]),
        ("ready, the old Node left", ready(lose(healthy(), WORKER1), SPEC, WORKER1, NEW), ["DeleteNode"]),
        (
            "ready, the old Node gone",
            ready(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, NEW),
            ["JoinWorker"],
        ),
        ("started beside the old Node", joining(lose(healthy(), WORKER1), SPEC, WORKER1, NEW), ["DeleteNode"]),
        (
            "started",
            joining(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, NEW),
            ["JoinWorker"],
        ),
    ],
)
def test_a_worker_that_was_not_finished_is_gone_on_with(point: str, state: ClusterState, expected: list[str]) -> None:
    assert sorted(p.key.verb for p in plan(state).steps if p.key.target == WORKER1) == expected
    assert in_order(state)[-1] == StepKey(JoinWorker, WORKER1)


def test_a_worker_whose_node_was_not_recorded_is_recorded_and_keeps_it() -> None:
    state = edit_node(healthy(), WORKER1, lambda n: replace(n, server_id=None))
    assert verbs(plan(state).steps) == [f"JoinWorker {WORKER1}"]


def test_a_worker_that_was_not_recorded_and_falls_silent_keeps_its_node() -> None:
    state = edit_node(healthy(), WORKER1, lambda n: replace(n, server_id=None, provider_id=None))
    assert verbs(plan(booting(state, SPEC, WORKER1)).steps) == [f"SecureHost {WORKER1}"]


def test_a_worker_known_by_its_provider_id_that_falls_silent_is_refused() -> None:
    state = edit_node(healthy(), WORKER1, lambda n: replace(n, server_id=None))
    assert codes(booting(state, SPEC, WORKER1)) == ["worker.unreachable"]


def test_a_node_password_that_is_left_alone_goes_before_the_join() -> None:
    state = ready(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, NEW)
    state = edit_kube(state, lambda v: replace(v, node_passwords=(*v.node_passwords, WORKER1)))
    (planned,) = plan(state).steps
    assert planned.step == DeleteNode(target=WORKER1, uid=None, via=101)
    assert in_order(state)[-1] == StepKey(JoinWorker, WORKER1)


def test_a_node_password_of_a_server_that_was_not_looked_at_stays() -> None:
    state = booting(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, NEW)
    state = edit_kube(state, lambda v: replace(v, node_passwords=(*v.node_passwords, WORKER1)))
    assert verbs(plan(state).steps) == [f"SecureHost {WORKER1}"]


def test_a_worker_is_prepared_while_the_api_is_silent_and_joins_when_it_speaks() -> None:
    state = replace(bare(healthy(), SPEC, WORKER1), kube={})
    assert f"InstallK3s {WORKER1}" in verbs(plan(state).steps)
    assert not [
        p for p in plan(replace(ready(healthy(), SPEC, WORKER1), kube={})).steps if isinstance(p.step, JoinWorker)
    ]


def test_a_worker_joins_through_the_seed_and_is_pointed_at_it() -> None:
    state = ready(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, NEW)
    (step,) = [p.step for p in plan(state).steps if isinstance(p.step, JoinWorker)]
    assert (step.via, step.server_url) == (101, "https://10.0.0.101:6443")


def test_two_lost_workers_do_not_wait_for_one_another() -> None:
    state = bare(lose(lose(healthy(), WORKER1), WORKER2), SPEC, WORKER1, NEW)
    assert {p.key for p in plan(state).steps} >= {StepKey(InstallK3s, WORKER1), StepKey(CreateServer, WORKER2)}


def test_the_nodes_of_workers_are_their_own_scope() -> None:
    scopes = {p.scope for wave in forecast(lose(healthy(), WORKER1)).waves for p in wave}
    assert scopes == {Scope.WORKER}


def test_a_worker_beside_a_lost_master_joins_before_the_repair_is_done() -> None:
    state = lose(ready(without_node(lose(healthy(), WORKER1), WORKER1), SPEC, WORKER1, NEW), MASTER1)
    assert f"JoinWorker {WORKER1}" in waves(state)[0]


def test_a_host_with_an_agent_of_this_cluster_only_is_right() -> None:
    state = edit_facts(healthy(), WORKER1, lambda f: replace(f, disk=DiskFacts(agent_ca=f.disk.agent_ca)))
    assert plan(state).settled
    reading = healthy().kube[101]
    assert isinstance(reading, Known)
    assert reading.value.uid == UID
