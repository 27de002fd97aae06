"""Surge servers: which are asked for, what waits for them, and that only they go with that flag."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.decide.world import (
    CREATE,
    MASTER1,
    ROLLOUT,
    SPEC,
    SURGING,
    WORKER1,
    WORKER2,
    a_pool,
    a_spec,
    agent_facts,
    codes,
    edit_kube,
    edit_node,
    edit_server,
    forecast,
    healthy,
    in_order,
    lose,
    made_from,
    node_of,
    not_ready,
    ordered_as_surge,
    plan,
    server_of,
    unreachable,
    verbs,
    with_reading,
    with_server,
)

from hetzner_k3s import decide
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, MakeAnew, Prune, Rollout, Surge
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.kube import KubeNode, Leaving
from hetzner_k3s.model.plan import Intent, StepKey
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import CordonNode, CreateServer, DeleteServer

WORKER3, WORKER4 = (naming.worker_name(SPEC.name, "small", index) for index in (3, 4))
FOUR = a_spec(3, 4)
BIG = "prod-pool-big-worker"
_BIG_POOL = replace(
    a_pool(1), name="big", workers=(replace(a_pool(1).workers[0], name=f"{BIG}1", pool="big", placement_group=None),)
)
TWO_POOLS = replace(SPEC, pools=(*SPEC.pools, _BIG_POOL))
OTHERS = made_from(healthy(), "debian-11", WORKER1, WORKER2)
"""Both workers wait to be made anew."""


def intent(*given: Rollout | MakeAnew | Surge | Prune) -> Intent:
    return replace(CREATE, consents=Consents.of(*given))


def protected(state: ClusterState, name: str) -> ClusterState:
    return edit_server(state, name, lambda server: replace(server, protected=True))


def surging(state: ClusterState, wish: Intent = SURGING, spec: ClusterSpec = SPEC) -> list[str]:
    """Return the surge servers that a run works for."""
    return [worker.name for worker in decide.wanted(spec, state, wish).surge_workers()]


def with_surge(state: ClusterState) -> ClusterState:
    """Let worker 3 have been ordered as a surge server, and have joined."""
    there = healthy(a_spec(3, 3))
    for name in (WORKER1, WORKER2):
        server = state.server(name)
        if server is not None and "debian-11" in server.image:
            there = made_from(there, "debian-11", name)
    return ordered_as_surge(there, WORKER3)


def departing(state: ClusterState, spec: ClusterSpec = SPEC, wish: Intent = SURGING) -> list[str]:
    """Return whose Node is cordoned, or whose server is deleted, now."""
    steps = plan(state, spec, wish).steps
    return [p.step.target for p in steps if isinstance(p.step, CordonNode | DeleteServer)]


@pytest.mark.parametrize(
    ("state", "wish", "expected"),
    [
        (OTHERS, SURGING, [WORKER3]),
        (OTHERS, intent(Rollout("small"), Surge("2")), [WORKER3, WORKER4]),
        (OTHERS, intent(Rollout(WORKER2), Surge("1")), [WORKER3]),
        (healthy(), intent(MakeAnew(WORKER2), Surge("1")), [WORKER3]),
        (OTHERS, ROLLOUT, []),
        (OTHERS, intent(Surge("1")), []),
        (OTHERS, intent(Rollout("masters"), Surge("1")), []),
        (healthy(), SURGING, []),
        (made_from(healthy(), "debian-11", MASTER1), SURGING, []),
        (made_from(healthy(), "debian-11", WORKER1), intent(Rollout(WORKER2), Surge("1")), []),
        (protected(made_from(healthy(), "debian-11", WORKER1), WORKER1), SURGING, []),
        (unreachable(OTHERS, MASTER1), SURGING, []),
    ],
)  # fmt: skip
def test_they_are_asked_for_while_a_worker_of_the_pool_waits(
    state: ClusterState, wish: Intent, expected: list[str]
) -> None:
    assert surging(state, wish) == expected


def test_a_pool_without_workers_has_none() -> None:
    spec = a_spec(3, 0)
    assert surging(healthy(spec), SURGING, spec) == []
    assert plan(healthy(spec), spec, SURGING).settled


@pytest.mark.parametrize(("number", "group"), [(2, "pg1"), (10, None), (19, "pg2"), (20, None)])
def test_they_stand_in_a_group_of_the_file_and_make_none(number: int, group: str | None) -> None:
    """A group of their own would be left, and of ten in one Hetzner takes no more."""
    spec = a_spec(1, number)
    state = made_from(healthy(spec), "debian-11", WORKER1)
    (worker,) = decide.wanted(spec, state, SURGING).surge_workers()
    assert worker.name == naming.worker_name(SPEC.name, "small", number + 1)
    assert worker.placement_group == (group and f"prod-pool-small-workers-{group}")
    kinds = {step.key.verb for step in plan(state, spec, SURGING).steps}
    assert "EnsurePlacementGroup" not in kinds


def test_what_the_file_would_have_said_of_them_is_ordered() -> None:
    (planned,) = [p for p in plan(OTHERS, SPEC, SURGING).steps if isinstance(p.step, CreateServer)]
    last = SPEC.workers()[-1]
    assert planned.step == CreateServer(
        target=WORKER3,
        server_type=last.instance_type,
        image=last.image,
        location=last.location,
        placement_group=last.placement_group,
    )
    assert planned.consent == Surge("1")
    assert "workers of pool small are made anew" in planned.because


def test_no_worker_is_emptied_before_they_take_pods_whatever_may_be_rolled_out_at_a_time() -> None:
    spec = replace(FOUR, k3s_upgrade_concurrency=4)
    names = [worker.name for worker in spec.workers()]
    state = made_from(healthy(spec), "debian-11", *names)
    assert departing(state, spec) == []
    worker5 = naming.worker_name(SPEC.name, "small", 5)
    joined = made_from(ordered_as_surge(healthy(a_spec(3, 5)), worker5), "debian-11", *names)
    assert departing(joined, spec) == names
    young = edit_node(joined, worker5, lambda node: replace(node, uninitialized=True))
    assert departing(young, spec) == []
    assert [wait.what for wait in plan(young, spec, SURGING).waits] == [f"{worker5} to take pods"]
    assert departing(not_ready(joined, worker5), spec) == []
    assert departing(lose(joined, worker5), spec) == []


def test_one_that_was_cordoned_to_go_is_taken_back_first() -> None:
    """The run that let it go was killed, and the file asks for another image since."""
    state = edit_node(with_surge(OTHERS), WORKER3, lambda node: replace(node, leaving=Leaving.CORDONED))
    planned = plan(state, SPEC, SURGING)
    assert verbs(planned.steps) == [f"UncordonNode {WORKER3}"]
    assert [wait.what for wait in planned.waits] == [f"{WORKER3} to take pods"]


def test_the_next_is_not_emptied_before_the_new_one_takes_pods() -> None:
    state = made_from(with_surge(OTHERS), SPEC.workers()[0].image, WORKER1)
    assert departing(state) == [WORKER2]
    young = edit_node(state, WORKER1, lambda node: replace(node, uninitialized=True))
    assert departing(young) == []


def test_they_go_when_no_worker_of_the_pool_is_left_and_all_take_pods() -> None:
    state = with_surge(healthy())
    assert departing(state) == [WORKER3]
    assert departing(edit_node(state, WORKER1, lambda node: replace(node, uninitialized=True))) == []
    assert departing(lose(state, WORKER1)) == []
    keys = [key for key in in_order(state, SPEC, SURGING) if key.target == WORKER3]
    assert [key.verb for key in keys] == ["CordonNode", "DrainNode", "DeleteNode", "DeleteServer"]
    assert {p.consent for p in plan(state, SPEC, SURGING).steps} == {Surge("1")}


@pytest.mark.parametrize(
    ("state", "wish"),
    [
        (healthy(a_spec(3, 3)), SURGING),
        (with_surge(healthy()), ROLLOUT),
        (with_surge(healthy()), CREATE),
        (with_surge(healthy()), intent(Rollout("masters"))),
        (with_surge(unreachable(OTHERS, MASTER1)), SURGING),
        (unreachable(with_surge(OTHERS), MASTER1), SURGING),
    ],
    ids=["no label", "no flag", "nothing asked", "masters", "waits", "waits beside a silent master"],
)
def test_else_they_stay(state: ClusterState, wish: Intent) -> None:
    assert WORKER3 not in departing(state, SPEC, wish)


def with_node(state: ClusterState, node: KubeNode) -> ClusterState:
    return edit_kube(state, lambda kube: replace(kube, nodes=(*kube.nodes, node)))


def with_big(state: ClusterState, *labels: bool) -> ClusterState:
    """Let there be workers of the pool `big`, which joined; `labels` says which were ordered as surge servers."""
    for index, surge in enumerate(labels, start=1):
        name = f"{BIG}{index}"
        server = server_of(TWO_POOLS, name, 400 + index)
        marked = replace(server, labels={**server.labels, **naming.server_labels(SPEC.name, "worker", surge=surge)})
        state = with_reading(with_server(state, marked), name, Known(agent_facts()))
        node = node_of(name, server.id, control_plane=False)
        state = with_node(state, node)
    return state


def test_those_of_another_pool_stay() -> None:
    state = with_big(healthy(), False, True)
    assert departing(state, TWO_POOLS, intent(Rollout("small"), Surge("1"))) == []
    assert departing(state, TWO_POOLS, intent(Rollout("big"), Surge("1"))) == [f"{BIG}2"]


def test_a_pool_whose_surge_server_is_not_sold_holds_no_other_pool_up() -> None:
    state = made_from(with_big(OTHERS, False, True), "debian-11", f"{BIG}1")
    unsold = replace(SURGING, unsold=frozenset({WORKER3}))
    assert departing(state, TWO_POOLS, unsold) == [f"{BIG}1"]


def test_one_is_named_with_the_commands_that_let_it_go() -> None:
    (note,) = plan(with_surge(healthy())).notes
    assert note.startswith(f"{WORKER3} is a surge server of a rollout that was not ended, and is left as it is")
    assert "`create --rollout small --surge 1`" in note
    assert "`create --prune`" in note
    assert departing(with_surge(healthy()), SPEC, intent(Prune())) == [WORKER3]


def test_one_that_is_protected_is_not_emptied_in_vain() -> None:
    state = protected(with_surge(healthy()), WORKER3)
    (refusal,) = plan(state, SPEC, SURGING).refusals
    assert (refusal.code, refusal.saw.startswith("--surge was given.")) == ("surplus.protected", True)
    assert codes(protected(with_surge(OTHERS), WORKER3), SPEC, SURGING) == []


def test_one_that_differs_itself_is_not_made_anew() -> None:
    state = made_from(with_surge(OTHERS), "debian-10", WORKER3)
    assert departing(state) == [WORKER1]
    assert {one.subject for one in plan(state, SPEC, SURGING).differences} == {WORKER1, WORKER2}
    order = in_order(state, SPEC, SURGING)
    assert order.index(StepKey(CreateServer, WORKER2)) < order.index(StepKey(CordonNode, WORKER3))


def test_the_network_has_to_have_room_for_them() -> None:
    spec = a_spec(1, 99)
    state = made_from(healthy(spec), "debian-11", WORKER1)
    refused = plan(state, spec, SURGING)
    assert [refusal.code for refusal in refused.refusals] == ["consent.unfit"]
    assert (
        "network prod would have 101 servers and load balancers, and one network takes 100" in refused.refusals[0].saw
    )
    assert codes(state, spec, ROLLOUT) == []
    less = a_spec(1, 98)
    assert codes(made_from(healthy(less), "debian-11", WORKER1), less, SURGING) == []


def test_a_name_is_asked_for_only_while_somebody_waits() -> None:
    """The rollout is through: what has that name since is no matter of it."""
    assert codes(healthy(a_spec(3, 3)), SPEC, SURGING) == []


def test_the_way_is_shown_with_them() -> None:
    keys = forecast(OTHERS, SPEC, SURGING).keys
    assert {StepKey(CreateServer, WORKER3), StepKey(DeleteServer, WORKER3)} <= keys
    order = in_order(OTHERS, SPEC, SURGING)
    assert order.index(StepKey(CreateServer, WORKER3)) < order.index(StepKey(CordonNode, WORKER1))
    assert order.index(StepKey(CreateServer, WORKER2)) < order.index(StepKey(CordonNode, WORKER3))


def test_one_that_is_not_sold_holds_the_workers_of_its_pool() -> None:
    unsold = replace(SURGING, unsold=frozenset({WORKER3}))
    assert plan(OTHERS, SPEC, unsold).steps == ()
    assert forecast(OTHERS, SPEC, unsold).waves == ()
