"""Labels and taints of the file are set on Nodes; of what is there only what we set ourselves is taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    SPEC,
    WORKER1,
    WORKER2,
    edit_facts,
    edit_node,
    forecast,
    healthy,
    nothing,
    plan,
    verbs,
)

from hetzner_k3s import decide
from hetzner_k3s.decide.desired.nodes import OWN_TAINT, SWITCH
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.hosts.host_config import MASTER_TAINT
from hetzner_k3s.model.kubernetes.node_labels import WELL_KNOWN, NodeChange, NodeKeys
from hetzner_k3s.model.plan import StepKey
from hetzner_k3s.model.spec import ClusterSpec, Label, Taint
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import JoinWorker, LabelNode

LABELS = (Label(key="tier", value="web"),)
TAINTS = (Taint(key="gpu", value="yes", effect="NoSchedule"),)


def with_marks(labels: tuple[Label, ...] = (), taints: tuple[Taint, ...] = (), spec: ClusterSpec = SPEC) -> ClusterSpec:
    pool = spec.pools[0]
    workers = tuple(replace(worker, labels=labels, taints=taints) for worker in pool.workers)
    return replace(spec, pools=(replace(pool, workers=workers),))


def there(
    labels: Mapping[str, str],
    taints: Mapping[str, str] | None = None,
    ours: NodeKeys | None = None,
    name: str = WORKER1,
    **more: Any,
) -> ClusterState:
    return edit_node(
        healthy(), name, lambda node: replace(node, labels=labels, taints=taints or {}, applied=ours, **more)
    )


def change(spec: ClusterSpec, state: ClusterState, name: str = WORKER1) -> NodeChange | None:
    steps = {p.step.target: p.step for p in plan(state, spec).steps if isinstance(p.step, LabelNode)}
    return steps[name].change if name in steps else None


def keys(*labels: str, taints: tuple[str, ...] = ()) -> NodeKeys:
    return NodeKeys(labels=frozenset(labels), taints=frozenset(taints))


TIER, GPU = keys("tier"), keys(taints=("gpu:NoSchedule",))


@pytest.mark.parametrize(
    ("labels", "ours", "expected"),
    [
        pytest.param({}, None, NodeChange(labels={"tier": "web"}, taints={}, ours=TIER), id="missing, no note"),
        pytest.param(
            {"tier": "db"}, None, NodeChange(labels={"tier": "web"}, taints={}, ours=TIER), id="another value"
        ),
        pytest.param({"tier": "web"}, None, None, id="right, no note"),
        pytest.param({"tier": "web"}, TIER, None, id="right, ours"),
        pytest.param({"tier": "web", "by-hand": "1"}, TIER, None, id="set by hand beside"),
        pytest.param({"tier": "web", "old": "1"}, None, None, id="of an older release, never taken away"),
        pytest.param(
            {"tier": "web", "old": "1", "by-hand": "1"},
            TIER | keys("old"),
            NodeChange(labels={"old": None}, taints={}, ours=TIER),
            id="dropped from the file, ours",
        ),
        pytest.param(
            {"tier": "web"},
            TIER | keys("old"),
            NodeChange(labels={}, taints={}, ours=TIER),
            id="taken away by hand, and no more ours when it comes back",
        ),
    ],
)
def test_labels_are_merged_three_ways(
    labels: dict[str, str], ours: NodeKeys | None, expected: NodeChange | None
) -> None:
    assert change(with_marks(LABELS), there(labels, ours=ours)) == expected


@pytest.mark.parametrize(
    ("taints", "ours", "expected"),
    [
        ({}, None, NodeChange(labels={}, taints={"gpu:NoSchedule": "yes"}, ours=GPU)),
        ({"gpu:NoSchedule": "no"}, None, NodeChange(labels={}, taints={"gpu:NoSchedule": "yes"}, ours=GPU)),
        ({"gpu:NoSchedule": "yes", "gpu:NoExecute": "x"}, GPU, None),
        (
            {"gpu:NoSchedule": "yes", "old:NoExecute": "", "node.kubernetes.io/not-ready:NoExecute": ""},
            GPU | keys(taints=("old:NoExecute",)),
            NodeChange(labels={}, taints={"old:NoExecute": None}, ours=GPU),
        ),
    ],
)
def test_taints_are_merged_by_key_and_effect(
    taints: dict[str, str], ours: NodeKeys | None, expected: NodeChange | None
) -> None:
    assert change(with_marks(taints=TAINTS), there({}, taints, ours)) == expected


def test_what_was_set_by_hand_before_does_not_become_ours() -> None:
    labels = (*LABELS, Label(key="mine", value="1"))
    found = change(with_marks(labels), there({"mine": "1"}, ours=NodeKeys()))
    assert found == NodeChange(labels={"tier": "web"}, taints={}, ours=TIER)


@pytest.mark.parametrize("key", sorted(WELL_KNOWN))
def test_labels_that_kubernetes_keeps_itself_are_left_to_it(key: str) -> None:
    assert change(with_marks((Label(key=key, value="a"),)), there({key: "b"})) is None


@pytest.mark.parametrize(
    "more",
    [
        {"server_id": 101, "provider_id": None, "internal_ip": None},
        {"server_id": None, "provider_id": None},
        {"deleting": True},
    ],
)
def test_only_the_node_of_its_own_server_is_written_to(more: dict[str, Any]) -> None:
    assert change(with_marks(LABELS), there({}, **more)) is None


def test_a_node_that_nobody_looked_at_is_not_written_to() -> None:
    assert verbs(plan(healthy(), with_marks(LABELS, TAINTS)).steps) == []
    assert not any(isinstance(s.step, LabelNode) for w in forecast(nothing(), with_marks(LABELS)).waves for s in w)


def test_a_node_whose_join_is_under_way_is_not_written_to() -> None:
    joining = frozenset({StepKey(JoinWorker, WORKER1)})
    assert not decide.plan(with_marks(LABELS), there({}), CREATE, joining).steps


def test_every_node_is_written_to_at_once_and_once() -> None:
    state = edit_node(there({}), WORKER2, lambda node: replace(node, taints={}))
    waves = [verbs(wave) for wave in forecast(state, with_marks(LABELS, TAINTS)).waves]
    assert waves == [[f"LabelNode {WORKER1}", f"LabelNode {WORKER2}"]]


def test_a_difference_names_key_and_both_values() -> None:
    state = there({"tier": "db", "old": "1"}, {}, keys("old"))
    seen = {(d.subject, d.field, d.wanted, d.seen) for d in plan(state, with_marks(LABELS, TAINTS)).differences}
    assert seen == {
        (WORKER1, "worker_node_pools[].labels", "tier=web", "tier=db"),
        (WORKER1, "worker_node_pools[].labels", "none", "old=1"),
        (WORKER1, "worker_node_pools[].taints", "gpu=yes:NoSchedule", "none"),
    }
    assert {d.remedy for d in plan(state, with_marks(LABELS)).differences} == {Remedy.APPLY}


def test_an_eviction_is_said_before_it_comes() -> None:
    steps = plan(there({}, name=MASTER1)).steps
    assert [step.because for step in steps] == [
        f"the file says taint {MASTER_TAINT}; pods that do not tolerate the taint are evicted"
    ]


@pytest.mark.parametrize(
    ("switch", "taint", "ours", "registered", "expected"),
    [
        pytest.param(True, True, keys(taints=(OWN_TAINT,)), (), {OWN_TAINT: None}, id="noted as ours"),
        pytest.param(True, True, None, (MASTER_TAINT,), {OWN_TAINT: None}, id="its host registers with it"),
        pytest.param(True, True, None, (), None, id="set by hand"),
        pytest.param(True, True, NodeKeys(), (MASTER_TAINT,), None, id="set by hand after we took ours away"),
        pytest.param(True, False, None, (MASTER_TAINT,), None, id="gone already"),
        pytest.param(False, False, None, (), {OWN_TAINT: "true"}, id="missing"),
        pytest.param(False, True, None, (MASTER_TAINT,), None, id="there"),
    ],
)
def test_the_masters_own_taint_follows_its_switch(
    switch: bool,
    taint: bool,
    ours: NodeKeys | None,
    registered: tuple[str, ...],
    expected: dict[str, str | None] | None,
) -> None:
    spec = replace(SPEC, schedule_workloads_on_masters=switch)
    state = there({}, {OWN_TAINT: "true"} if taint else {}, ours, MASTER1)
    config = {"node-taint": registered}
    state = edit_facts(state, MASTER1, lambda facts: replace(facts, disk=replace(facts.disk, config=config)))
    found = change(spec, state, MASTER1)
    assert (found.taints if found else None) == expected
    fields = {d.field for d in plan(state, spec).differences if d.remedy is Remedy.APPLY}
    assert fields == ({SWITCH} if expected else set())
