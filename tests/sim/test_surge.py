"""Surge servers: workers beyond the file that are there while others of their pool are made anew, and no longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.simulated.faults import ApiFault, ServerDeleted
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, DeleteLocalData, MakeAnew, Prune, Rollout, Surge
from hetzner_k3s.model.errors import DrainRefused, ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import mischief, workloads
from .clusters import CLUSTER, MASTER1, WORKER1, WORKER2, a_spec
from .killing import killed_at_every_moment
from .story import Story, healthy
from .test_differences import masters, workers
from .test_replacing import ids
from .test_rollout import played
from .tool import Run

SURGE: Final = Surge("1")
ALL: Final = Consents.of(Rollout("all"), SURGE)
PRUNE: Final = Consents.of(Prune())
WORKER3, WORKER4, WORKER5 = (naming.worker_name(CLUSTER, "small", index) for index in (3, 4, 5))
ANOTHER_IMAGE: Final = workers(image="ubuntu-24.04")
NO_ROOM: Final = ApiFault("error", method="POST", path="/servers", code="resource_limit_exceeded", times=None)
"""The project's quota is used up: of that the API tells nothing before an order."""


@dataclass
class Least:
    """The smallest number of Nodes of the pool that was ever seen to take pods."""

    number: int = 99


def _takes_pods(node: dict[str, Any]) -> bool:
    spec, conditions = node.get("spec", {}), node.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not spec.get("unschedulable") and not spec.get("taints")


@asynccontextmanager
async def counted(world: World) -> AsyncIterator[Least]:
    """Count all the while the workers that take pods."""
    least = Least()

    async def watch() -> None:
        while True:
            nodes, _ = await mischief.store(world).list(NODES)
            taking = sum(_takes_pods(node) for node in nodes if "-pool-small-" in node["metadata"]["name"])
            least.number = min(least.number, taking)
            await asyncio.sleep(0.05)

    task = asyncio.create_task(watch())
    try:
        yield least
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ordered(done: Run) -> list[str]:
    """Return the servers that were asked for."""
    return [target for verb, target in done.told.steps if verb == "CreateServer"]


def drained(done: Run) -> list[str]:
    """Return the Nodes that were cordoned or drained."""
    return [target for verb, target in done.told.steps if verb in {"CordonNode", "DrainNode"}]


def only(*numbers: int) -> Callable[[ClusterSpec], ClusterSpec]:
    """Have the pool be these of its workers."""

    def changed(spec: ClusterSpec) -> ClusterSpec:
        (pool,) = spec.pools
        left = tuple(worker for worker in pool.workers if worker.index in numbers)
        return replace(spec, pools=(replace(pool, count=len(left), workers=left),))

    return changed


@pytest.mark.parametrize(("number", "at_a_time", "least"), [("1", 1, 2), ("2", 2, 2), ("1", 2, 1)])
def test_a_pool_never_has_fewer_workers_than_the_file_says(number: str, at_a_time: int, least: int) -> None:
    """Without `--surge` a pool of two has one for as long as the other is made anew."""

    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(replace(ANOTHER_IMAGE(story.spec), k3s_upgrade_concurrency=at_a_time))
        given = Consents.of(Rollout("all"), Surge(number))
        async with counted(story.world) as seen:
            done = await story.create(consents=given)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert seen.number == least, done.story()
        assert {name for name, number in ids(story).items() if before.get(name) != number} == {WORKER1, WORKER2}
        assert ordered(done)[: int(number)] == [WORKER3, WORKER4][: int(number)]
        assert not story.broken(WORKER1, WORKER2), story.broken(WORKER1, WORKER2)
        again = await story.create(consents=given)
        assert (again.code, again.told.steps) == (ExitCode.CONVERGED, []), again.story()

    played(a_spec(1, 2), happens)


def test_a_worker_of_the_users_beyond_the_file_is_left_alone() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(only(1, 2)(ANOTHER_IMAGE(story.spec)))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story).keys() == before.keys()
        assert ids(story)[WORKER4] == before[WORKER4]
        assert WORKER4 not in drained(done), done.story()
        assert any(note.startswith(f"{WORKER4} is beyond the file and is left as it is") for note in done.notes)

    played(only(1, 2, 4)(a_spec(1, 4)), happens)


@pytest.mark.parametrize("ours", [True, False], ids=["ours", "another's"])
def test_a_server_of_the_name_is_refused_and_never_taken_for_a_surge_server(ours: bool) -> None:
    async def happens(story: Story) -> None:
        if not ours:
            mischief.make_server(story.world, WORKER3, {})
            await mischief.servers_run(story.world)
        before = ids(story)
        story.wish(only(1, 2)(ANOTHER_IMAGE(story.spec)))
        refused = await story.refuses("consent.unfit", consents=ALL)
        assert f"{WORKER3} (id {before[WORKER3]})" in refused.story()
        assert ids(story) == before

    played(a_spec(1, 3 if ours else 2), happens)


def test_where_nothing_is_made_anew_nothing_is_ordered() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(workers(type="cpx32")(story.spec))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story) == before

    played(a_spec(1, 2), happens)


def test_masters_have_none() -> None:
    async def happens(story: Story) -> None:
        story.wish(masters(image="ubuntu-24.04")(story.spec))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert sorted(ordered(done)) == sorted(story.spec.master_names)
        for given in (Rollout("masters"), Rollout(MASTER1), MakeAnew(MASTER1)):
            refused = await story.refuses("consent.unfit", consents=Consents.of(given, SURGE))
            assert "they have no surge servers" in refused.story()
        refused = await story.refuses("consent.unfit", consents=Consents.of(SURGE))
        assert "none was asked for" in refused.story()

    played(a_spec(3, 0), happens)


def test_one_worker_that_is_named_has_a_surge_server_too() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(ANOTHER_IMAGE(story.spec))
        for given in (Rollout("pool-small-worker2"), MakeAnew(WORKER2)):
            done = await story.create(consents=Consents.of(given, SURGE))
            assert ordered(done) == [WORKER3, WORKER2], done.story()
            assert ids(story).keys() == before.keys()
            assert ids(story)[WORKER1] == before[WORKER1]

    played(a_spec(1, 2), happens)


@pytest.mark.parametrize("fault", [NO_ROOM, ApiFault("unavailable", server_type="cpx22", times=None)], ids=repr)
def test_nothing_is_drained_while_no_surge_server_can_be_had(fault: ApiFault) -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(ANOTHER_IMAGE(story.spec))
        await story.happens(fault)
        for _ in range(2):
            failed = await story.create(consents=ALL)
            assert failed.code in {ExitCode.CLOUD_REFUSED, ExitCode.FAILED, ExitCode.PENDING}, failed.story()
            assert (drained(failed), failed.refused) == ([], ()), failed.story()
        assert ids(story) == before
        await story.heals(fault)
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()

    played(a_spec(1, 2), happens)


def test_a_pool_without_its_surge_server_does_not_hold_another_one_up() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(ANOTHER_IMAGE(story.spec))
        await story.happens(ApiFault("error", method="POST", path="/servers", code="resource_limit_exceeded"))
        failed = await story.create(consents=ALL)
        assert failed.code is not ExitCode.CONVERGED, failed.story()
        changed = {name for name, number in ids(story).items() if before.get(name) != number}
        assert len({name.partition("-worker")[0] for name in changed}) == 1, failed.story()
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story).keys() == before.keys()

    played(_two_pools(a_spec(1, 2)), happens)


def _two_pools(spec: ClusterSpec) -> ClusterSpec:
    (pool,) = spec.pools
    others = (
        replace(w, name=naming.worker_name(CLUSTER, "big", w.index), pool="big", placement_group=None)
        for w in pool.workers
    )
    return replace(spec, pools=(pool, replace(pool, name="big", workers=tuple(others))))


def test_a_volume_on_a_surge_server_holds_it_until_it_is_given_up() -> None:
    async def happens(story: Story) -> None:
        story.wish(ANOTHER_IMAGE(story.spec))
        await workloads.local_volume(story.world, WORKER3)
        held = await story.create(consents=ALL)
        assert held.code is ExitCode.FAILED, held.story()
        assert isinstance(held.error, DrainRefused)
        assert WORKER3 in ids(story)
        done = await story.create(consents=ALL.adding(DeleteLocalData()))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert WORKER3 not in ids(story)

    played(a_spec(1, 2), happens)


def test_one_that_a_killed_run_left_is_named_and_goes_with_either_flag() -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(ANOTHER_IMAGE(story.spec))
        for given in (ALL, PRUNE):
            await story.create(kill_at=f"after DELETE /api/v1/nodes/{WORKER2}", consents=ALL)
            plain = await story.create()
            assert plain.code is ExitCode.CONVERGED, plain.story()
            assert [n for n in plain.notes if n.startswith(f"{WORKER3} is a surge server of a rollout")], plain.notes
            assert WORKER3 in ids(story)
            done = await story.create(consents=given)
            assert (done.code, ordered(done)) == (ExitCode.CONVERGED, []), done.story()
            assert ids(story).keys() == before.keys()
            story.wish(workers(image="debian-13")(story.spec))

    played(a_spec(1, 2), happens)


def test_one_that_the_file_wants_by_now_stays_for_good() -> None:
    """Its label alone would have had it go with the next rollout after the file is a smaller one again."""

    async def happens(story: Story) -> None:
        story.wish(ANOTHER_IMAGE(story.spec))
        await story.create(kill_at=f"after DELETE /api/v1/nodes/{WORKER2}", consents=ALL)
        kept = ids(story)[WORKER3]
        story.wish(ANOTHER_IMAGE(a_spec(1, 3)))
        grown = await story.create()
        assert grown.code is ExitCode.CONVERGED, grown.story()
        assert ("UnmarkSurge", WORKER3) in grown.told.steps
        story.wish(ANOTHER_IMAGE(a_spec(1, 2)))
        left = await story.create(consents=ALL)
        assert (left.code, left.told.steps) == (ExitCode.CONVERGED, []), left.story()
        assert ids(story)[WORKER3] == kept

    played(a_spec(1, 2), happens)


@pytest.mark.parametrize("after", [40, 120])
@pytest.mark.parametrize("name", [WORKER1, WORKER2, WORKER3])
def test_whatever_is_lost_meanwhile_the_same_command_ends_with_the_files_servers(name: str, after: int) -> None:
    async def happens(story: Story) -> None:
        before = ids(story)
        story.wish(ANOTHER_IMAGE(story.spec))
        under_way = asyncio.ensure_future(story.create(consents=ALL))
        await asyncio.sleep(after)
        lost = ServerDeleted(name)
        if lost.possible(story.world):  # else it is just being made anew, or not there yet
            await lost.strike(story.world)
        await under_way
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert ids(story).keys() == before.keys()
        assert not story.broken(WORKER1, WORKER2), story.broken(WORKER1, WORKER2)

    played(a_spec(1, 2), happens)


def test_killed_at_any_moment_the_same_command_goes_on() -> None:
    async def story_of(kill_at: int | None) -> tuple[list[str], list[str]]:
        async with healthy(5, a_spec(1, 2)) as story:
            story.wish(ANOTHER_IMAGE(story.spec))
            async with counted(story.world) as seen:
                first = await story.create(kill_at=kill_at, consents=ALL)
                second = await story.create(consents=ALL)
                third = await story.create()
            broken = story.broken(WORKER1, WORKER2)
            broken += [run.story() for run in (second, third) if run.code is not ExitCode.CONVERGED]
            broken += [f"{seen.number} workers took pods\n{second.story()}"] if seen.number < 2 else []
            return first.session.moments.passed, broken

    killed_at_every_moment(story_of, 5, every=13)
