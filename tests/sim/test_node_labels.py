"""Labels and taints that change in the file come to living Nodes; what somebody else set there stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.simulated import virtual_time
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec, Label, Taint

from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec
from .story import Story, healthy

OWN_TAINT = {"key": "CriticalAddonsOnly", "value": "true", "effect": "NoExecute"}
BY_HAND = {"key": "broken-disk", "value": "", "effect": "NoSchedule"}
GPU = Taint(key="gpu", value="yes", effect="NoSchedule")


def marked(spec: ClusterSpec, *taints: Taint, **labels: str) -> ClusterSpec:
    """Give the workers of a file labels and taints."""
    found = tuple(Label(key=key, value=value) for key, value in labels.items())
    pool = spec.pools[0]
    workers = tuple(replace(worker, labels=found, taints=taints) for worker in pool.workers)
    return replace(spec, pools=(replace(pool, labels=found, taints=taints, workers=workers),))


def store_of(story: Story) -> Store:
    return next(h.server.store for h in story.world.site.hosts.values() if h.server and h.server.store)


async def labels(story: Story, name: str) -> dict[str, str]:
    """Give the labels of a Node that are nobody's domain."""
    found = await store_of(story).get(NODES, name)
    return {key: value for key, value in found["metadata"]["labels"].items() if "/" not in key}


async def taints(story: Story, name: str) -> list[dict[str, Any]]:
    return [{"value": "", **t} for t in (await store_of(story).get(NODES, name))["spec"].get("taints") or ()]


async def set_by_hand(story: Story, name: str, **values: str) -> None:
    """Label a Node and taint it as a user would."""

    def change(old: dict[str, Any]) -> dict[str, Any]:
        metadata = old["metadata"] | {"labels": old["metadata"]["labels"] | values}
        return old | {"metadata": metadata, "spec": old["spec"] | {"taints": [*old["spec"].get("taints", ()), BY_HAND]}}

    await store_of(story).change(NODES, name, "", change)


async def changes(story: Story, spec: ClusterSpec, *nodes: str) -> None:
    """Demand that a change of the file is shown and carried out on these Nodes, and that the next run does nothing."""
    story.wish(spec)
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert sorted(run.told.steps) == sorted(("LabelNode", name) for name in nodes), run.story()
    assert run.told.forecast is not None
    shown = {(planned.key.verb, planned.key.target) for wave in run.told.forecast.waves for planned in wave}
    assert shown == {*run.told.steps}
    await story.is_converged()


def test_a_key_of_the_file_comes_and_goes_and_others_stay() -> None:
    async def tell() -> None:
        async with healthy(1) as story:
            before = await labels(story, WORKER1)
            await set_by_hand(story, WORKER1, mine="1", tier="by hand")
            await changes(story, marked(story.spec, GPU, tier="web", old="1"), WORKER1, WORKER2)
            assert await labels(story, WORKER1) == {**before, "mine": "1", "tier": "web", "old": "1"}
            assert await taints(story, WORKER1) == [BY_HAND, {"key": "gpu", "value": "yes", "effect": "NoSchedule"}]
            await changes(story, marked(story.spec, tier="db"), WORKER1, WORKER2)
            assert await labels(story, WORKER1) == {**before, "mine": "1", "tier": "db"}
            assert await labels(story, WORKER2) == {**before, "tier": "db"}
            assert await taints(story, WORKER1) == [BY_HAND]
            await changes(story, marked(story.spec), WORKER1, WORKER2)
            assert await labels(story, WORKER1) == {**before, "mine": "1"}

    virtual_time.run(tell())


def test_what_a_node_registered_with_goes_when_the_file_drops_it() -> None:
    async def tell() -> None:
        async with healthy(2, marked(a_spec(), GPU, tier="web")) as story:
            assert (await labels(story, WORKER1))["tier"] == "web"
            await set_by_hand(story, WORKER1, tier="changed")
            await changes(story, story.spec, WORKER1)
            await changes(story, marked(story.spec), WORKER1, WORKER2)
            assert "tier" not in await labels(story, WORKER1)
            assert await taints(story, WORKER1) == [BY_HAND]
            assert await taints(story, WORKER2) == []

    virtual_time.run(tell())


def test_masters_take_workloads_without_a_restart() -> None:
    async def tell() -> None:
        async with healthy(3) as story:
            everyone = (MASTER1, MASTER2, MASTER3)
            await set_by_hand(story, MASTER2)
            await changes(story, replace(story.spec, schedule_workloads_on_masters=True), *everyone)
            assert [await taints(story, name) for name in everyone] == [[], [BY_HAND], []]
            await changes(story, replace(story.spec, schedule_workloads_on_masters=False), *everyone)
            assert [await taints(story, name) for name in everyone] == [[OWN_TAINT], [BY_HAND, OWN_TAINT], [OWN_TAINT]]

    virtual_time.run(tell())
