"""Charts of ours take the place of what 2.x applied: with `--rollout addons`, and wherever that is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from hetzner_k3s.lab.k3s.api.resources import (
    BUILT_IN,
    DAEMON_SETS,
    DEPLOYMENTS,
    NODES,
    PERSISTENT_VOLUMES,
    SECRETS,
    SERVICES,
    Obj,
)
from hetzner_k3s.lab.k3s.control.cloud import is_waiting
from hetzner_k3s.lab.simulated.faults import PoweredOff
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import ROLLOUT_ADDONS, Adopt, Consents, Rollout
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER, CSI_DRIVER
from hetzner_k3s.model.spec import AddonsSpec

from . import manifests_of_2x as of_2x
from . import mischief
from .clusters import WORKER1
from .clusters_of_2x import as_2x_made_it, ca8
from .killing import killed_at_every_moment
from .story import Story, healthy
from .tool import Run

_SEED = 812
ADDONS = Consents.of(Rollout(ROLLOUT_ADDONS))
_KIND = {resource.kind: resource for resource in BUILT_IN}
_OUTLIVES = (("StorageClass", "hcloud-volumes"), ("CSIDriver", "csi.hetzner.cloud"), ("PersistentVolume", "pvc-1"))
_VOLUME = {"metadata": {"name": "pvc-1"}, "spec": {"csi": {"driver": "csi.hetzner.cloud", "volumeHandle": "7"}}}
_SERVICE = {
    "metadata": {"name": "web", "finalizers": ["service.kubernetes.io/load-balancer-cleanup"]},
    "spec": {"type": "LoadBalancer"},
}
_BOTH = [("TakeOverAddon", CLOUD_CONTROLLER), ("TakeOverAddon", CSI_DRIVER)]


def told(happens: Callable[[Story], Awaitable[None]]) -> None:
    """Tell one story of a cluster of 2.x that was adopted, with a volume and a Service that has a load balancer."""

    async def play() -> None:
        async with adopted() as story:
            await happens(story)

    run(play())


@asynccontextmanager
async def adopted() -> AsyncIterator[Story]:
    async with healthy(_SEED) as story:
        await as_2x_made_it(story)
        store = mischief.store(story.world)
        await store.create(PERSISTENT_VOLUMES, _VOLUME)
        await store.create(SERVICES, _SERVICE, "default")
        for consents in (Consents.of(Adopt(ca8(story.world))), Consents()):
            ended = await story.create(consents=consents)
            assert ended.code is ExitCode.CONVERGED, ended.story()
        yield story


async def outliving(story: Story) -> dict[str, str]:
    """Return the UIDs of what must not be deleted."""
    store = mischief.store(story.world)
    found = {name: await store.find(_KIND[kind], name) for kind, name in _OUTLIVES}
    found["hcloud"] = await store.find(SECRETS, "hcloud", of_2x.KUBE_SYSTEM)
    found["web"] = await store.find(SERVICES, "web", "default")
    return {name: one["metadata"]["uid"] if one else "gone" for name, one in found.items()}


async def selectors(story: Story) -> list[set[str]]:
    store = mischief.store(story.world)
    found = [*(await store.list(DEPLOYMENTS))[0], *(await store.list(DAEMON_SETS))[0]]
    return [set(one["spec"]["selector"]["matchLabels"]) for one in found]


async def is_initialized(story: Story) -> bool:
    nodes, _ = await mischief.store(story.world).list(NODES)
    return not any(map(is_waiting, nodes))


@asynccontextmanager
async def counted(story: Story) -> AsyncIterator[list[int]]:
    """Count the cloud controllers that run, all the while."""
    seen: list[int] = []

    async def count() -> None:
        while True:
            seen.append(await of_2x.running_controllers(mischief.store(story.world)))
            await asyncio.sleep(0.5)

    counting = asyncio.create_task(count())
    yield seen
    counting.cancel()


async def taken_over(story: Story) -> Run:
    ended = await story.create(consents=ADDONS)
    assert ended.code is ExitCode.CONVERGED, ended.story()
    return ended


def test_without_the_flag_nothing_is_done_and_the_way_is_named() -> None:
    async def happens(story: Story) -> None:
        before = await outliving(story), await selectors(story)
        ended = await story.create()
        assert (ended.code, ended.writes) == (ExitCode.CONVERGED, []), ended.story()
        (note,) = [note for note in ended.notes if "2.x" in note]
        assert f"{CLOUD_CONTROLLER}, {CSI_DRIVER} stay as hetzner-k3s 2.x applied them" in note
        assert "`create --rollout addons`" in note
        ended = await story.create(consents=Consents.of(Rollout(Rollout.otherwise)))
        assert not [step for step in ended.told.steps if step[0] == "TakeOverAddon"], ended.story()
        assert (await outliving(story), await selectors(story)) == before

    told(happens)


def test_charts_take_their_place_and_nothing_else_is_touched() -> None:
    async def happens(story: Story) -> None:
        before = await outliving(story)
        async with counted(story) as controllers:
            ended = await taken_over(story)
        assert ended.told.steps == _BOTH, ended.story()
        assert set(controllers) == {0, 1}
        assert controllers[-1] == 1
        assert await outliving(story) == before
        assert "gone" not in before.values()
        assert await is_initialized(story)
        assert all("app" not in selector for selector in await selectors(story))
        for consents in (ADDONS, Consents()):
            ended = await story.create(consents=consents)
            assert (ended.code, ended.writes) == (ExitCode.CONVERGED, []), ended.story()
            assert not [note for note in ended.notes if "2.x applied" in note]

    told(happens)


async def _killed(kill_at: int | None, *, again: Consents) -> tuple[list[str], list[str]]:
    async with adopted() as story:
        before = await outliving(story)
        first = await story.create(consents=ADDONS, kill_at=kill_at)
        passed = first.session.moments.passed
        broken: list[str] = []
        async with counted(story) as controllers:
            if kill_at is not None and (await story.create(consents=again)).code is not ExitCode.CONVERGED:
                broken.append(story.runs[-1].story())
            await asyncio.sleep(30)
        if again == ADDONS or kill_at is None:
            broken += [f"still of 2.x: {one}" for one in await selectors(story) if "app" in one]
        if max(controllers) > 1 or controllers[-1] != 1 or not await of_2x.has_controller(mischief.store(story.world)):
            broken.append(f"cloud controllers: {controllers}")
        if (after := await outliving(story)) != before:
            broken.append(f"{before} became {after}")
        if not await is_initialized(story):
            broken.append("a Node waits for a cloud controller")
        return passed, broken


@pytest.mark.parametrize("again", [ADDONS, Consents()], ids=["with the flag", "without it"])
def test_killed_at_any_moment_the_next_run_brings_the_cloud_controller_back(again: Consents) -> None:
    async def story(kill_at: int | None) -> tuple[list[str], list[str]]:
        return await _killed(kill_at, again=again)

    killed_at_every_moment(story, _SEED, every=7)


def test_a_cloud_controller_that_somebody_deleted_comes_back_unasked() -> None:
    async def happens(story: Story) -> None:
        store = mischief.store(story.world)
        await store.delete(DEPLOYMENTS, CLOUD_CONTROLLER, of_2x.KUBE_SYSTEM)
        ended = await story.create()
        assert (ended.code, ended.told.steps) == (ExitCode.CONVERGED, _BOTH[:1]), ended.story()
        assert await of_2x.has_controller(store)
        assert any(f"{CSI_DRIVER} stays as" in note for note in (await story.create()).notes)

    told(happens)


def _container(old: Obj, change: Obj) -> Obj:
    (container,) = old["spec"]["template"]["spec"]["containers"]
    pod = old["spec"]["template"] | {"spec": {"containers": [container | change]}}
    return old | {"spec": old["spec"] | {"template": pod}}


def _retained(story: Story) -> Awaitable[None]:
    return _edit(story, "StorageClass", "hcloud-volumes", lambda old: old | {"allowVolumeExpansion": False})


def _robot(story: Story) -> Awaitable[None]:
    env = {"env": [{"name": "HCLOUD_NETWORK", "value": "x"}, {"name": "ROBOT_ENABLED", "value": "true"}]}
    return _edit(story, "Deployment", CLOUD_CONTROLLER, lambda old: _container(old, env))


async def _edit(story: Story, kind: str, name: str, edit: Callable[[Obj], Obj]) -> None:
    resource = _KIND[kind]
    namespace = of_2x.KUBE_SYSTEM if resource.namespaced else ""
    await mischief.store(story.world).change(resource, name, namespace, edit)


@pytest.mark.parametrize(
    ("edit", "held", "why", "goes"),
    [
        (_retained, CSI_DRIVER, "StorageClass hcloud-volumes has allowVolumeExpansion false", CLOUD_CONTROLLER),
        (_robot, CLOUD_CONTROLLER, f"Deployment {CLOUD_CONTROLLER} has ROBOT_ENABLED", CSI_DRIVER),
    ],
)
def test_one_whose_chart_would_not_be_the_same_is_left_by_name_and_the_other_goes(
    edit: Callable[[Story], Awaitable[None]], held: str, why: str, goes: str
) -> None:
    async def happens(story: Story) -> None:
        await edit(story)
        before = await outliving(story)
        ended = await story.create(consents=ADDONS)
        assert (ended.code, ended.told.steps) == (ExitCode.PENDING, [("TakeOverAddon", goes)]), ended.story()
        assert ended.told.forecast is not None
        (left,) = [one for one in ended.told.forecast.left_alone if held in one]
        assert why in left
        assert await outliving(story) == before
        quiet = await story.create()
        assert (quiet.code, quiet.writes) == (ExitCode.CONVERGED, []), quiet.story()
        assert any(why in note for note in quiet.notes)

    told(happens)


def test_a_silent_node_is_brought_back_before_anything_is_deleted() -> None:
    async def happens(story: Story) -> None:
        await story.happens(PoweredOff(WORKER1))
        await asyncio.sleep(120)
        ended = await taken_over(story)
        assert ended.told.steps == [("PowerOn", WORKER1), *_BOTH], ended.story()

    told(happens)


def test_dropped_from_the_file_they_stay_as_they_are() -> None:
    async def happens(story: Story) -> None:
        before = await selectors(story)
        story.wish(replace(story.spec, addons=AddonsSpec(csi_driver=False)))
        ended = await story.create(consents=ADDONS)
        assert ended.told.steps == _BOTH[:1], ended.story()
        assert sum("app" in selector for selector in await selectors(story)) == len(before) - 1

    told(happens)
