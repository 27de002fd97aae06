"""Nodes that wait for a cloud controller: waited for a while, then told; no join hangs on it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import MASTER1, NOW, SPEC, WORKER1, WORKER2, edit_facts, edit_kube, edit_node, healthy, plan

from hetzner_k3s.decide.assume_waits_done import come_true
from hetzner_k3s.decide.lifecycle.uninitialized_nodes import PATIENCE
from hetzner_k3s.model.spec import AddonsSpec, ClusterSpec, ComponentArgs, NetworkSpec
from hetzner_k3s.model.state import ClusterState

WITHOUT = replace(SPEC, addons=AddonsSpec(cloud_controller_manager=False))
OWN = replace(WITHOUT, args=ComponentArgs(kubelet=("cloud-provider=external",)))


def tainted(age: float, *names: str) -> ClusterState:
    """Have these Nodes wait, registered so many seconds ago by the clock of the master that is read through."""
    state = edit_facts(healthy(), MASTER1, lambda f: replace(f, clock=NOW + 5000))
    for name in names or (WORKER1,):
        state = edit_node(state, name, lambda n: replace(n, uninitialized=True, created=NOW + 5000 - age))
    return state


@pytest.mark.parametrize("spec", [SPEC, OWN])
def test_a_node_that_has_just_joined_is_waited_for_and_no_error_if_it_stays(spec: ClusterSpec) -> None:
    planned = plan(tainted(10), spec)
    (wait,) = planned.waits
    assert wait.what == f"the cloud controller to initialize {WORKER1}"
    assert wait.tolerated
    assert not planned.steps
    assert plan(come_true(spec, tainted(10)), spec).settled


@pytest.mark.parametrize("age", [PATIENCE, 1e6])
def test_one_that_stays_so_is_told_and_not_waited_for_again(age: float) -> None:
    planned = plan(tainted(age))
    assert planned.settled
    (told,) = planned.degraded
    assert told.startswith(f"{WORKER1}: joined, but no cloud controller has taken the taint")
    assert "starts again each 15 minutes" in told
    assert "hcloud-cloud-controller-manager" in told


def test_without_a_cloud_controller_nobody_is_waited_for_and_the_way_out_is_told() -> None:
    planned = plan(tainted(10, WORKER1, WORKER2), WITHOUT)
    assert planned.settled
    assert f"kubectl taint node {WORKER1} node.cloudprovider.kubernetes.io/uninitialized-" in planned.degraded[0]
    assert "look whether it runs" in plan(tainted(1e6), OWN).degraded[0]


def test_whoever_seems_to_run_a_controller_of_his_own_is_told_how_nodes_wait_for_it() -> None:
    provided = edit_kube(
        healthy(), lambda view: replace(view, nodes=tuple(replace(n, provider_id="hcloud://1") for n in view.nodes))
    )
    assert any("if you run your own" in note for note in plan(provided, WITHOUT).notes)
    public = replace(WITHOUT, network=NetworkSpec(private=False))
    for spec in (SPEC, OWN, public):
        assert not any("if you run your own" in note for note in plan(provided, spec).notes)


def test_many_are_counted() -> None:
    names = [server.name for server in SPEC.servers()]
    assert len(names) == 5
    assert plan(tainted(1e6, *names)).degraded[0].startswith(", ".join(names) + ": joined")
