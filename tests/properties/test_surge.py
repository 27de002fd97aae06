"""Random rollouts with surge servers, beside servers of the user's and what killed runs left: walked in any order."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from tests.decide import world as w
from tests.properties.safety import violations
from tests.properties.walking import run

from hetzner_k3s import decide
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, Rollout, Surge
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.spec import ClusterSpec, PoolSpec
from hetzner_k3s.model.state import ClusterState

WALKS = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
POOLS = ("small", "big")


@dataclass(frozen=True, slots=True)
class Surging:
    """A cluster of which workers wait to be made anew, what the user asked for, and the sentence that made it.

    `users` are workers beyond the file that nobody ordered for a rollout.
    """

    spec: ClusterSpec
    state: ClusterState
    intent: Intent
    users: frozenset[str]
    told: str

    def __repr__(self) -> str:
        """Say it in words."""
        return f"Surging({self.told})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))

    @property
    def number(self) -> int:
        """Return how many surge servers a pool may have."""
        consent = self.intent.consents.get(Surge)
        return consent.number if consent is not None else 0


def _pool(name: str, workers: int) -> PoolSpec:
    made = (
        replace(
            worker,
            name=naming.worker_name(w.CLUSTER, name, worker.index),
            pool=name,
            placement_group=naming.workers_placement_group(w.CLUSTER, name, 1),
        )
        for worker in w.a_pool(workers).workers
    )
    return replace(w.a_pool(workers), name=name, workers=tuple(made))


def _spec(sizes: dict[str, int], at_a_time: int) -> ClusterSpec:
    pools = tuple(_pool(name, size) for name, size in sizes.items())
    return replace(w.a_spec(1, 0), pools=pools, k3s_upgrade_concurrency=at_a_time)


@st.composite
def surging(draw: st.DrawFn) -> Surging:
    """Draw two pools, some workers that differ, and beyond them some of the user's and some of a killed run."""
    sizes = {name: draw(st.integers(1, 3)) for name in POOLS}
    number, at_a_time = draw(st.integers(1, 2)), draw(st.integers(1, 3))
    more = {name: draw(st.integers(0, 2)) for name in POOLS}
    spec = _spec(sizes, at_a_time)
    state = _served(_spec({name: sizes[name] + more[name] for name in POOLS}, at_a_time))
    beyond = [
        naming.worker_name(w.CLUSTER, name, sizes[name] + index) for name in POOLS for index in range(1, more[name] + 1)
    ]
    ordered = draw(st.lists(st.sampled_from(beyond), unique=True)) if beyond else []
    state = w.ordered_as_surge(state, *ordered)
    differing = draw(st.lists(st.sampled_from([worker.name for worker in spec.workers()]), unique=True))
    state = w.made_from(state, "another", *differing)
    named = draw(st.sampled_from(["all", "all", *POOLS]))
    intent = replace(w.CREATE, consents=Consents.of(Rollout(named), Surge(str(number))))
    told = f"{sizes}, {at_a_time} at a time; {beyond} beyond, {ordered} of a rollout; {differing} differ; {named}"
    return Surging(spec, state, intent, frozenset(beyond) - {*ordered}, f"{told}, {number} surge")


def _served(spec: ClusterSpec) -> ClusterState:
    """Return a healthy cluster of two pools: ids of the second one's workers do not follow from their names alone."""
    first = replace(spec, pools=spec.pools[:1])
    state = w.healthy(first)
    for number, worker in enumerate(spec.pools[1].workers):
        state = w.ready(state, spec, worker.name, 300 + number)
        state = w.made_from(state, worker.image, worker.name)
        state = _joined(state, worker.name)
    groups = w.surroundings(spec, record=w.born_record()).placement_groups
    return w.with_listing(state, placement_groups=groups)


def _joined(state: ClusterState, name: str) -> ClusterState:
    """Let a fresh worker have joined."""
    server = state.server(name)
    assert server is not None
    node = w.node_of(name, server.id, control_plane=False)
    state = w.edit_facts(state, name, lambda _: w.agent_facts())
    return w.edit_kube(state, lambda kube: replace(kube, nodes=(*kube.nodes, node)))


def _nodes(state: ClusterState, pool: str) -> Iterator[KubeNode]:
    """Return the Nodes of a pool that take pods."""
    for server_id in state.kube:
        if (view := state.kube_of(server_id)) is not None:
            there = {server.id for server in state.view.servers}
            named = (node for node in view.nodes if f"-pool-{pool}-worker" in node.name)
            yield from (node for node in named if node.ready and node.leaving is None and node.machine in there)
            return


@WALKS
@given(surging(), st.randoms(use_true_random=False))
def test_no_step_is_unsafe_and_what_is_the_users_stays(world: Surging, chance: random.Random) -> None:
    for state, plan in run(world.spec, world.state, chance, world.intent):
        assert not violations(decide.wanted(world.spec, state, world.intent), state, plan)
        assert not {planned.step.target for planned in plan.steps} & world.users


@WALKS
@given(surging(), st.randoms(use_true_random=False))
def test_it_is_the_way_that_was_shown_and_it_ends_with_the_files_servers(world: Surging, chance: random.Random) -> None:
    shown = decide.forecast(world.spec, world.state, world.intent).keys
    way = tuple(run(world.spec, world.state, chance, world.intent))
    assert {step.key for _, plan in way for step in plan.steps} <= shown
    state, last = way[-1]
    event("refused" if last.refusals else "ended")
    if last.refusals:
        assert world.users
        return
    named = world.intent.consents.get(Rollout)
    pools = POOLS if named is None or named.named == "all" else (named.named,)
    left = {s.name for s in state.view.servers} - {s.name for s in world.spec.servers()} - world.users
    assert not [name for name in left if any(f"-pool-{pool}-" in name for pool in pools)]
    assert all("another" not in s.image for s in state.view.servers if any(f"-pool-{p}-" in s.name for p in pools))


@WALKS
@given(surging(), st.randoms(use_true_random=False))
def test_a_pool_lacks_no_more_than_are_made_anew_at_a_time_beyond_its_surge_servers(
    world: Surging, chance: random.Random
) -> None:
    least = max(world.spec.k3s_upgrade_concurrency - world.number, 0)
    for state, _ in run(world.spec, world.state, chance, world.intent):
        for pool in world.spec.pools:
            taking = [n for n in _nodes(state, pool.name) if n.name not in world.users]
            assert len(taking) >= len(pool.workers) - least, pool.name
