"""An upgrade: another k3s on every host, one after another; refused before anything where it cannot go well."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.consents import Consents, Rollout, Upgrade
from hetzner_k3s.model.errors import ExitCode

from . import mischief, tool, workloads
from .clusters import MASTER1, MASTER2, MASTER3, VERSION, WORKER1, WORKER2, a_spec
from .story import Story, healthy, with_version
from .test_rollout import MASTERS, killed, most_at_once, played, rolled, started, starts

UPGRADE: Final = Consents.of(Upgrade())
NEXT: Final = "v1.36.4+k3s1"
AFTER: Final = "v1.37.0+k3s1"


def releases(story: Story) -> dict[str, str | None]:
    """Return the k3s on each host."""
    return {host.name: host.disk.k3s_version for host in story.world.site.hosts.values()}


def test_every_host_gets_it_masters_first_and_each_is_restarted_once() -> None:
    async def happens(story: Story) -> None:
        before = starts(story)
        await workloads.pod(story.world, "web-1", WORKER1, "ReplicaSet")
        story.wish(with_version(story.spec, NEXT))
        done = await story.create(consents=UPGRADE)
        assert done.code is ExitCode.CONVERGED, done.story()
        order = rolled(done)
        assert sorted(order[:3]) == [*MASTERS]
        assert sorted(order[3:]) == [WORKER1, WORKER2]
        assert started(story, before) == dict.fromkeys([*MASTERS, WORKER1, WORKER2], 1)
        assert set(releases(story).values()) == {NEXT}
        verbs = [verb for verb, _ in done.told.steps]
        assert verbs[:5] == ["StageK3s"] * 5
        assert verbs.index("SaveSnapshot") < verbs.index("ReconfigureMaster")
        of_worker = [verb for verb, target in done.told.steps if target == WORKER1]
        assert of_worker == ["StageK3s", "CordonNode", "DrainNode", "ReconfigureWorker", "UncordonNode"]
        assert most_at_once(done, "ReconfigureWorker") == 1
        assert not story.broken(*MASTERS, WORKER1, WORKER2)
        again = await story.create(consents=UPGRADE)
        assert (again.code, again.told.steps) == (ExitCode.CONVERGED, []), again.story()

    played(a_spec(3, 2, load_balancer=True), happens)


def test_a_node_that_its_owner_cordoned_stays_so() -> None:
    async def happens(story: Story) -> None:
        store = mischief.store(story.world)
        await store.change(NODES, WORKER1, "", lambda o: o | {"spec": o["spec"] | {"unschedulable": True}})
        story.wish(with_version(story.spec, NEXT))
        done = await story.create(consents=UPGRADE)
        assert done.code is ExitCode.CONVERGED, done.story()
        cordoned = [
            name for name in (WORKER1, WORKER2) if (await mischief.node(story.world, name))["spec"].get("unschedulable")
        ]
        assert cordoned == [WORKER1]
        again = await story.create()
        assert (again.code, again.told.steps) == (ExitCode.CONVERGED, []), again.story()

    played(a_spec(1, 2), happens)


def test_each_upgrade_saves_its_own_snapshot_however_soon_it_follows() -> None:
    async def happens(story: Story) -> None:
        for version in (NEXT, AFTER):
            story.wish(with_version(story.spec, version))
            done = await story.create(consents=UPGRADE)
            assert done.code is ExitCode.CONVERGED, done.story()
            saved = [target for verb, target in done.told.steps if verb == "SaveSnapshot"]
            assert saved == [f"pre-rollout-{version.replace('+', '-')}"]

    played(a_spec(3, 0), happens)


def test_the_version_in_the_file_comes_with_a_rollout_too() -> None:
    async def happens(story: Story) -> None:
        story.wish(with_version(story.spec, NEXT))
        left = await story.create()
        assert left.code is ExitCode.PENDING, left.story()
        done = await story.create(consents=Consents.of(Rollout("all")))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert set(releases(story).values()) == {NEXT}

    played(a_spec(1, 1), happens)


@pytest.mark.parametrize(
    ("version", "code"),
    [("v1.38.0+k3s1", "upgrade.skips-minor"), ("v1.35.9+k3s1", "upgrade.downgrade")],
)
def test_what_cannot_go_well_is_refused_before_anything(version: str, code: str) -> None:
    async def happens(story: Story) -> None:
        story.wish(with_version(story.spec, version))
        await story.refuses(code, consents=UPGRADE)

    played(a_spec(3, 1), happens)


@pytest.mark.parametrize("name", [MASTER2, WORKER1])
def test_a_server_that_is_off_is_upgraded_in_the_same_run(name: str) -> None:
    async def happens(story: Story) -> None:
        await story.happens(faults.PoweredOff(name))
        await asyncio.sleep(60)
        story.wish(with_version(story.spec, NEXT))
        done = await story.create(consents=UPGRADE)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert set(releases(story).values()) == {NEXT}

    played(a_spec(3, 2), happens)


def test_a_budget_holds_the_drain_and_then_the_worker_goes_on() -> None:
    async def happens(story: Story) -> None:
        await workloads.pod(story.world, "db-1", WORKER1, "StatefulSet")
        await workloads.budget(story.world, 0)
        story.wish(with_version(story.spec, NEXT))
        held = await story.create(consents=UPGRADE)
        assert held.code is ExitCode.FAILED, held.story()
        assert "disruption budget" in str(held.error)
        assert releases(story)[WORKER1] == VERSION
        assert {releases(story)[name] for name in MASTERS} == {NEXT}
        left = await story.create()
        assert left.code is ExitCode.PENDING, left.story()
        await workloads.budget(story.world, 1)
        done = await story.create(consents=UPGRADE)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert set(releases(story).values()) == {NEXT}

    played(a_spec(3, 1), happens)


def test_killed_at_any_moment_the_same_command_goes_on() -> None:
    killed(lambda spec: with_version(spec, NEXT), UPGRADE, every=17)


def test_a_master_lost_on_the_way_comes_back_with_what_the_others_run() -> None:
    async def story_of(lost: str) -> None:
        async with healthy(6, a_spec(3, 1)) as story:
            story.wish(with_version(story.spec, NEXT))
            await story.create(kill_at=f"before ReconfigureMaster on {MASTER2}", consents=UPGRADE)
            await story.happens(faults.ServerDeleted(lost))
            done = await story.create(consents=UPGRADE)
            assert done.code is ExitCode.CONVERGED, done.story()
            assert set(releases(story).values()) == {NEXT}

    for lost in (MASTER1, MASTER3):
        run(story_of(lost))


def test_what_does_not_exist_is_not_upgraded() -> None:
    """It bought a cluster that nobody had asked for."""

    async def play() -> None:
        async with world(3, "instant") as place:
            ran = await tool.create(place, a_spec(3, 2), consents=UPGRADE)
            assert (ran.code, ran.refused) == (ExitCode.REFUSED, ("consent.unfit",)), ran.story()
            assert not place.project.servers

    run(play())
