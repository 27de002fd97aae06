"""The operator lock: one holder, whatever happens to runs, clocks and answers."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hetzner_k3s.act import lock
from hetzner_k3s.act.lock import LockRequest, OperatorLock
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import PlacementGroup
from hetzner_k3s.model.errors import (
    CloudConflict,
    CloudRefused,
    CloudUnavailable,
    Fate,
    LockHeld,
    LockLost,
    NoRoomForLock,
    ProductError,
)
from hetzner_k3s.model.steps import DeleteServer, Step, WriteKubeconfig

from .virtual_time import LoopClock, run
from .world import World

ALICE = LockRequest(cluster="c", holder="alice@laptop", run="a1")
BOB = LockRequest(cluster="c", holder="bob@desk", run="b1")


def hold(world: World, request: LockRequest, *, skew: float = 0.0) -> Any:
    return lock.held(world.ports(LoopClock(skew)), request, lambda _name, _what: None)


def abandoned(world: World, expires: str = "1700000100", lease: str | None = "60") -> PlacementGroup:
    """Leave Alice's lock as a killed run does; None: of a release that wrote no length."""
    labels = {naming.LABEL_LOCK_HOLDER: "alice", naming.LABEL_LOCK_RUN: "a1", naming.LABEL_LOCK_EXPIRES: expires}
    labels |= {} if lease is None else {naming.LABEL_LOCK_LEASE: lease}
    group = PlacementGroup(id=next(world.ids), name=naming.operator_lock("c"), labels=labels)
    world.groups[group.id] = group
    return group


async def timed(work: Coroutine[Any, Any, None]) -> float:
    began = asyncio.get_running_loop().time()
    await work
    return asyncio.get_running_loop().time() - began


async def take(world: World, request: LockRequest, *, skew: float = 0.0) -> None:
    async with hold(world, request, skew=skew) as held:
        await held.check()


def test_the_lock_is_gone_after_the_block() -> None:
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            assert world.groups[held.fence].labels[naming.LABEL_LOCK_HOLDER] == "alice-laptop"
        assert world.groups == {}

    run(story())


@pytest.mark.parametrize("skew", [0.0, 86_400.0, -86_400.0])
def test_a_living_run_is_never_overtaken_however_wrong_the_clocks_are(skew: float) -> None:
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            with pytest.raises(LockHeld, match=r"alice-laptop \(lock 1, expires "):
                await take(world, BOB, skew=skew)
            await held.check()

    run(story())


@pytest.mark.parametrize(
    ("lease", "seconds"),
    [("60", 60), ("100", 100), ("180", 180), ("9999", 180), ("1", 60), (None, 60), ("", 60), ("-5", 60), ("soon", 60)],
)
def test_a_stale_lock_is_overtaken_after_its_lease_and_a_wait(lease: str | None, seconds: float) -> None:
    """A label is anybody's to write: neither a moment nor a day is taken for a lease."""
    world = World()
    old = abandoned(world, lease=lease)

    async def story() -> None:
        assert await timed(take(world, BOB)) == pytest.approx(seconds + 30, abs=6)
        assert old.id not in world.groups

    run(story())


def test_the_lock_of_a_run_that_died_on_this_machine_is_overtaken_at_once() -> None:
    world = World(dead_runs={"a1"})
    abandoned(world)

    async def story() -> None:
        assert await timed(take(world, BOB)) < 6

    run(story())


def test_a_run_whose_lock_is_gone_starts_nothing_more() -> None:
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            await asyncio.sleep(39)
            world.groups.clear()
            await held.check()  # proven 39 seconds ago: still good
            await asyncio.sleep(7)
            with pytest.raises(LockLost):
                await held.check()

    run(story())


def test_a_run_that_slept_while_another_took_over_starts_nothing_more() -> None:
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            taken = world.groups.pop(held.fence)
            world.groups[99] = PlacementGroup(id=99, name=taken.name, labels={"hetzner-k3s/run": "b1"})
            await asyncio.sleep(46)
            with pytest.raises(LockLost):
                await held.check()
        assert world.groups[99].labels == {"hetzner-k3s/run": "b1"}

    run(story())


def test_the_holder_moves_the_expiry_on() -> None:
    world = World()

    async def expiry(held: OperatorLock) -> int:
        return int(world.groups[held.fence].labels[naming.LABEL_LOCK_EXPIRES])

    async def story() -> None:
        async with hold(world, ALICE) as held:
            first = await expiry(held)
            await asyncio.sleep(45)
            assert await expiry(held) - first == 40

    run(story())


@pytest.mark.parametrize(("seconds", "renewals"), [(39, 0), (130, 2), (400, 4)])
def test_a_lock_costs_few_requests_however_many_steps_start(seconds: int, renewals: int) -> None:
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            for _ in range(2 * seconds):
                await asyncio.sleep(0.5)
                await held.check()
        assert world.renewals == renewals

    run(story())


def test_a_lease_lasts_as_long_as_the_run_has_and_not_for_ever() -> None:
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            leases = set()
            for _ in range(1000):
                await asyncio.sleep(0.5)
                labels = world.groups[held.fence].labels
                left = int(labels[naming.LABEL_LOCK_EXPIRES]) - held.ports.clock.now()
                assert left > 18, "renewed before it ends"
                leases.add(int(labels[naming.LABEL_LOCK_LEASE]))
            assert sorted(leases) == [60, 80, 140, 180]

    run(story())


@pytest.mark.parametrize(("runs_for", "good_for"), [(30, 45), (270, 165)])
def test_a_step_starts_only_while_nobody_can_have_taken_the_lock(runs_for: float, good_for: float) -> None:
    """A taker's first effect comes a lease and 30 s after the last renewal at the earliest: 45 s are left."""
    world = World()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            await asyncio.sleep(runs_for)
            proven = held._proven_at
            world.groups.clear()
            await asyncio.sleep(proven + good_for - 0.5 - held.ports.clock.monotonic())
            await held.check()
            await asyncio.sleep(1)
            with pytest.raises(LockLost):
                await held.check()

    run(story())


def test_a_renewal_that_fails_is_tried_again_before_the_lease_ends() -> None:
    class Unsteady(World):
        async def replace_labels(self, _kind: str, resource_id: int, labels: Mapping[str, str]) -> bool:
            if not self.renewals:
                self.renewals += 1
                raise CloudUnavailable("busy", code="server_error", fate=Fate.MAY_HAVE_HAPPENED)
            return await super().replace_labels(_kind, resource_id, labels)

    world = Unsteady()

    async def story() -> None:
        async with hold(world, ALICE) as held:
            await asyncio.sleep(46)
            assert world.groups[held.fence].labels[naming.LABEL_LOCK_EXPIRES] == str(
                int(held.ports.clock.now() - 1 + 60)
            )

    run(story())


@pytest.mark.parametrize(
    ("age", "seen", "contested", "free"),
    [
        (4.9, False, False, True),
        (5.0, False, False, False),
        (1.0, True, False, False),
        (1.0, False, True, False),
    ],
)
def test_the_lock_was_free_where_it_was_not_seen_just_before(
    age: float, seen: bool, contested: bool, free: bool
) -> None:
    world = World(dead_runs={"a1"})
    view = run(world.survey())
    if seen:
        view = replace(view, placement_groups=(abandoned(world),))
        world.groups.clear()
    if contested:
        abandoned(world)

    async def story() -> None:
        async with hold(world, BOB) as held:
            assert held.was_free_since(held.ports.clock.monotonic() - age, view) is free

    run(story())


_APART = WriteKubeconfig(target="/k", via=7, servers={}, current="c")
_LOST = DeleteServer(target="c-master1", server_id=7)


@pytest.mark.parametrize(("begun", "seconds"), [([], 0), ([_APART], 0), ([_LOST], 5), ([_LOST, _APART], 5)])
def test_it_is_held_long_enough_to_be_seen_where_something_was_done(begun: list[Step], seconds: float) -> None:
    """A run that looked just before and has the lock just after would miss what was done in between."""

    async def work() -> None:
        async with hold(World(), BOB) as held:
            for step in begun:
                held.begin(step)

    async def story() -> None:
        assert await timed(work()) == pytest.approx(seconds, abs=0.1)

    run(story())


def test_a_lost_answer_to_the_creation_leaves_one_lock_and_its_holder_holds_it() -> None:
    world = World(lose_next_answer=True)

    async def story() -> None:
        async with hold(world, ALICE) as held:
            await held.check()
            assert list(world.groups) == [held.fence]

    async def story_and_its_length() -> None:
        assert await timed(story()) < 6

    run(story_and_its_length())


def test_no_room_names_the_groups_that_could_go() -> None:
    world = World(group_limit=2)
    world.groups = {
        1: PlacementGroup(id=1, name="in-use", servers=(7,)),
        2: PlacementGroup(id=2, name="left-over"),
    }
    with pytest.raises(NoRoomForLock) as refused:
        run(take(world, ALICE))
    assert "left-over" in refused.value.hint
    assert "in-use" not in refused.value.hint


@pytest.mark.parametrize(
    ("expires", "words"),
    [
        ("1700000100", "22:15:00 UTC"),
        ("", "at an unknown time"),
        ("soon", "at an unknown time"),
        *(("9" * digits, "at an unknown time") for digits in (13, 18, 40)),
    ],
)
def test_who_comes_second_is_told_who_is_at_it_and_how_long(expires: str, words: str) -> None:
    held = lock._held_by(BOB, abandoned(World(), expires))
    assert str(held) == f"c is being changed by alice (lock 1, expires {words})"


def test_a_lock_whose_holder_is_not_told_is_somebodys() -> None:
    group = replace(abandoned(World()), labels={})
    assert str(lock._held_by(BOB, group)).startswith("c is being changed by somebody (lock 1")


def test_a_takeover_is_said_while_it_is_waited_for() -> None:
    world, told = World(), list[tuple[str, str]]()
    abandoned(world)

    async def story() -> None:
        async with lock.held(world.ports(LoopClock()), BOB, lambda name, what: told.append((name, what))):
            pass

    run(story())
    assert told == [
        ("c-operator-lock", "held by alice; watching for 60 s whether that run still lives"),
        ("c-operator-lock", "taken over; waiting 30 s for what its last holder had started"),
    ]


@pytest.mark.parametrize(("dead", "left"), [({"a1"}, 0), ({"b1"}, 1)])
def test_a_run_without_work_forgets_only_a_lock_whose_run_died_here(dead: set[str], left: int) -> None:
    world = World(dead_runs=dead)
    abandoned(world)

    async def story() -> None:
        await lock.forget_killed(world.ports(LoopClock()), BOB, await world.survey())
        assert len(world.groups) == left

    run(story())


class NeverOurs(World):
    """The name is always taken, and nobody is seen who has it."""

    attempts = 0

    async def create_placement_group(self, _name: str, _labels: Mapping[str, str]) -> PlacementGroup:
        self.attempts += 1
        raise CloudConflict("name is already used", code="uniqueness_error", fate=Fate.DID_NOT_HAPPEN)


def test_a_lock_that_changes_hands_again_and_again_ends_the_run() -> None:
    world = NeverOurs()
    with pytest.raises(LockHeld, match="c-operator-lock changed hands 5 times"):
        run(take(world, BOB))
    assert world.attempts == 5


@pytest.mark.parametrize(
    "failure",
    [
        CloudRefused("no", code="forbidden", fate=Fate.DID_NOT_HAPPEN),
        CloudUnavailable("busy", code="rate_limit_exceeded", fate=Fate.DID_NOT_HAPPEN),
    ],
    ids=lambda failure: failure.code,
)
def test_what_hetzner_says_about_the_lock_ends_the_run_as_it_is(failure: ProductError) -> None:
    class Refusing(World):
        async def create_placement_group(self, _name: str, _labels: Mapping[str, str]) -> PlacementGroup:
            raise failure

    with pytest.raises(type(failure)) as ended:
        run(take(Refusing(), ALICE))
    assert ended.value is failure


def test_a_holder_is_named_by_what_a_label_may_hold() -> None:
    world = World()

    async def story() -> None:
        async with hold(world, LockRequest(cluster="c", holder="-ä@" + "x" * 90, run="a1")) as held:
            assert world.groups[held.fence].labels[naming.LABEL_LOCK_HOLDER] == "x" * 63

    run(story())
