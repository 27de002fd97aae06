"""A rollout gives servers another type in place, and makes those anew that cannot be changed otherwise."""

from __future__ import annotations

import asyncio
from typing import Final

import pytest

from hetzner_k3s.lab.simulated.faults import ApiFault, DatabaseDeleted
from hetzner_k3s.model.consents import Consents, DeleteLocalData, Rollout
from hetzner_k3s.model.errors import DrainRefused, ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import workloads
from .clusters import MASTER2, WORKER1, WORKER2, a_spec
from .story import Story
from .test_differences import masters, workers
from .test_rollout import ALL, MASTERS, killed, played

ALL_AND_DATA: Final = Consents.of(Rollout("all"), DeleteLocalData())
SERVERS: Final = (*MASTERS, WORKER1, WORKER2)


def both(spec: ClusterSpec, changes: dict[str, str]) -> ClusterSpec:
    return workers(**changes)(masters(**changes)(spec))


def types(story: Story) -> set[str]:
    return {server.server_type.name for server in story.world.project.servers.values()}


def ids(story: Story) -> dict[str, int]:
    return {server.name: server.id for server in story.world.project.servers.values()}


def test_another_type_comes_in_place_one_master_at_a_time() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(both(story.spec, {"type": "cpx32"}))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story) == before
        assert types(story) == {"cpx32"}
        resized = [target for verb, target in done.told.steps if verb.startswith("Resize")]
        assert sorted(resized[:3]) == [*MASTERS]
        assert sorted(resized[3:]) == [WORKER1, WORKER2]
        of_worker = [verb for verb, target in done.told.steps if target == WORKER1]
        assert of_worker == ["CordonNode", "DrainNode", "ResizeWorker", "UncordonNode"], done.story()
        assert not story.broken(*SERVERS), story.broken(*SERVERS)
        again = await story.create(consents=ALL)
        assert (again.code, again.told.steps) == (ExitCode.CONVERGED, []), again.story()

    played(a_spec(3, 2, load_balancer=True), happens)


def test_another_image_takes_other_servers_and_keeps_the_cluster() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(both(story.spec, {"image": "ubuntu-24.04"}))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert not set(ids(story).values()) & set(before.values())
        assert {server.image.name for server in story.world.project.servers.values()} == {"ubuntu-24.04"}
        retired = [target for verb, target in done.told.steps if verb == "RetireMember"]
        assert sorted(retired) == [*MASTERS], done.story()
        assert not story.broken(*SERVERS), story.broken(*SERVERS)

    played(a_spec(3, 2, load_balancer=True), happens)


def test_a_master_whose_data_is_gone_comes_back_before_it_is_another_server() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        await story.happens(DatabaseDeleted(MASTER2))
        await asyncio.sleep(120)
        story.wish(masters(image="ubuntu-24.04")(story.spec))
        done = await story.create(consents=Consents.of(Rollout("masters")))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert not set(ids(story).values()) & {before[name] for name in MASTERS}

    played(a_spec(3, 0), happens)


def test_the_only_master_is_kept_and_said() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(masters(image="ubuntu-24.04")(story.spec))
        left = await story.create(consents=ALL)
        assert left.code is ExitCode.PENDING, left.story()
        assert ids(story) == before
        assert left.told.forecast is not None
        assert "the data of the only master would go with this one" in "".join(left.told.forecast.left_alone)

    played(a_spec(1, 1), happens)


def test_a_volume_on_the_disk_holds_its_server_unless_it_is_given_up() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        await workloads.local_volume(story.world, WORKER1)
        story.wish(workers(image="ubuntu-24.04")(story.spec))
        held = await story.create(consents=ALL)
        assert held.code is ExitCode.FAILED, held.story()
        assert isinstance(held.error, DrainRefused)
        assert ids(story) == before
        done = await story.create(consents=ALL_AND_DATA)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story)[WORKER1] != before[WORKER1]

    played(a_spec(3, 1), happens)


def test_a_volume_on_the_disk_does_not_hold_a_change_of_type() -> None:
    async def happens(story: Story) -> None:
        await workloads.local_volume(story.world, WORKER1)
        story.wish(workers(type="cpx32")(story.spec))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()

    played(a_spec(3, 1), happens)


@pytest.mark.parametrize("changes", [{"type": "cpx32"}, {"image": "ubuntu-24.04"}], ids=["type", "image"])
def test_killed_at_any_moment_the_same_command_goes_on(changes: dict[str, str]) -> None:
    killed(lambda spec: both(spec, changes), ALL, every=61)


@pytest.mark.parametrize(
    ("image", "fault", "told"),
    [
        ("ubuntu-24.4", None, "there is no image ubuntu-24.4"),
        ("ubuntu-24.04", ApiFault("unavailable", server_type="cpx22"), "Hetzner shows cpx22 as not available in fsn1"),
        ("ubuntu-24.04", ApiFault("error", path="/server_types"), "what Hetzner sells now could not be read"),
    ],
)
def test_no_server_is_given_up_for_one_that_cannot_be_had(image: str, fault: ApiFault | None, told: str) -> None:
    """It was drained, its member retired, and deleted, before the order of the next one failed."""

    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(both(story.spec, {"image": image}))
        await story.happens(*([fault] if fault else []))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.PENDING, done.story()
        assert done.told.steps == [], done.story()
        assert done.told.forecast is not None
        assert told in "".join(done.told.forecast.left_alone)
        assert ids(story) == before

    played(a_spec(3, 2), happens)


@pytest.mark.parametrize("kind", ["cpx9999", "cx11"])
def test_no_server_is_shut_down_for_a_type_that_cannot_be_had(kind: str) -> None:
    """Each run cordoned, drained and shut down a healthy master before Hetzner was asked for the type."""

    async def happens(story: Story) -> None:
        story.wish(both(story.spec, {"type": kind}))
        done = await story.create(consents=ALL)
        assert (done.code, done.told.steps) == (ExitCode.PENDING, []), done.story()
        assert types(story) == {"cpx22"}

    played(a_spec(3, 2), happens)
