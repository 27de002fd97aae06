"""A rollout restarts what differs, one master at a time, and leaves the rest of the cluster as it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import pytest

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import ROLLOUT_MASTERS, Consents, Rollout
from hetzner_k3s.model.errors import ExitCode, OperationFailed
from hetzner_k3s.model.spec import ClusterSpec, ComponentArgs

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec, on_database
from .killing import killed_at_every_moment
from .story import Story, healthy
from .tool import Run

MASTERS: Final = (MASTER1, MASTER2, MASTER3)
ALL: Final = Consents.of(Rollout("all"))
FEWER: Final = ComponentArgs(kube_apiserver=("max-requests-inflight=300",))
VERBOSE: Final = ComponentArgs(kube_scheduler=("v=2",))
"""What k3s takes, tells READY with, and ends of (docs/facts/k3s.md#restart-for-a-change)."""
KUBELET: Final = ComponentArgs(kubelet=("max-pods=90",))


def starts(story: Story) -> dict[str, int]:
    """Count the starts of k3s that somebody asked for, by server."""
    hosts = story.world.site.hosts.values()
    return {host.name: sum(unit.starts for unit in host.units.values()) for host in hosts}


def started(story: Story, before: dict[str, int]) -> dict[str, int]:
    """Return how often k3s was started since, by server, without those where it was not."""
    return {name: now - before[name] for name, now in starts(story).items() if now != before[name]}


def rolled(done: Run, kind: str = "Reconfigure") -> list[str]:
    return [target for verb, target in done.told.steps if verb.startswith(kind)]


def asking(spec: ClusterSpec, args: ComponentArgs) -> ClusterSpec:
    return replace(spec, args=args)


def played(spec: ClusterSpec, happens: Callable[[Story], Awaitable[None]]) -> None:
    async def play() -> None:
        async with healthy(3, spec) as story:
            await happens(story)

    run(play())


def test_masters_are_restarted_one_by_one_the_leader_last() -> None:
    async def happens(story: Story) -> None:
        before, leader = starts(story), mischief.leader(story.world)
        story.wish(asking(story.spec, FEWER))
        left = await story.create()
        assert left.code is ExitCode.PENDING, left.story()
        assert not started(story, before)
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert sorted(rolled(done)) == [*MASTERS]
        assert rolled(done)[-1] == leader
        assert started(story, before) == dict.fromkeys(MASTERS, 1)
        assert not story.broken(*MASTERS), story.broken(*MASTERS)
        again = await story.create(consents=ALL)
        assert (again.code, again.told.steps) == (ExitCode.CONVERGED, []), again.story()

    played(a_spec(3, 2, load_balancer=True), happens)


@pytest.mark.parametrize(
    "spec", [a_spec(1, 1), a_spec(2, 1), on_database(a_spec(2, 1))], ids=["one", "two", "database"]
)
def test_few_masters_are_restarted_too(spec: ClusterSpec) -> None:
    async def happens(story: Story) -> None:
        before = starts(story)
        story.wish(asking(story.spec, FEWER))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert started(story, before) == dict.fromkeys(spec.master_names, 1)

    played(spec, happens)


def test_workers_follow_the_masters_as_many_at_a_time_as_the_file_says() -> None:
    async def happens(story: Story) -> None:
        before = starts(story)
        story.wish(replace(asking(story.spec, KUBELET), k3s_upgrade_concurrency=2))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        workers = [f"prod-pool-small-worker{number}" for number in range(1, 5)]
        assert sorted(rolled(done)[3:]) == workers
        assert started(story, before) == dict.fromkeys([*MASTERS, *workers], 1)
        assert most_at_once(done, "ReconfigureWorker") == 2
        assert most_at_once(done, "ReconfigureMaster") == 1

    played(a_spec(3, 4), happens)


def test_a_worker_that_no_cloud_controller_has_seen_comes_back_too() -> None:
    """Its agent stays `activating` for ever (docs/facts/k3s.md#joined)."""

    async def happens(story: Story) -> None:
        story.wish(asking(story.spec, KUBELET))
        done = await story.create(consents=Consents.of(Rollout("small")))
        assert rolled(done) == [WORKER1], done.story()
        assert not done.error, done.story()

    spec = a_spec(1, 1)
    played(replace(spec, addons=replace(spec.addons, cloud_controller_manager=False)), happens)


def most_at_once(done: Run, verb: str) -> int:
    """Return how many steps of a kind were under way at a time."""
    now = most = 0
    for line in done.story().splitlines():
        if f" {verb} " in line:
            now += -1 if " done after " in line else 1
            most = max(most, now)
    return most


@pytest.mark.parametrize(
    ("named", "expected"), [(ROLLOUT_MASTERS, MASTERS), ("small", (WORKER1, WORKER2)), (WORKER2, (WORKER2,))]
)
def test_only_what_is_named_is_restarted(named: str, expected: tuple[str, ...]) -> None:
    async def happens(story: Story) -> None:
        before = starts(story)
        story.wish(asking(story.spec, KUBELET))
        done = await story.create(consents=Consents.of(Rollout(named)))
        assert done.code is ExitCode.PENDING, done.story()
        assert started(story, before) == dict.fromkeys(expected, 1)

    played(a_spec(3, 2), happens)


def test_a_name_that_the_file_lacks_is_refused() -> None:
    async def happens(story: Story) -> None:
        story.wish(asking(story.spec, KUBELET))
        refused = await story.refuses("consent.unfit", consents=Consents.of(Rollout("large")))
        assert "no pool and no server of the name 'large'" in refused.story()

    played(a_spec(3, 2), happens)


@pytest.mark.parametrize("spec", [a_spec(3, 1), a_spec(3, 1, load_balancer=True)], ids=["plain", "balanced"])
def test_a_master_that_does_not_come_back_stops_the_wave_and_a_right_file_ends_it(spec: ClusterSpec) -> None:
    async def happens(story: Story) -> None:
        before = starts(story)
        story.wish(asking(story.spec, VERBOSE))
        failed = await story.create(consents=ALL)
        assert failed.code is ExitCode.FAILED, failed.story()
        assert isinstance(failed.error, OperationFailed)
        assert "logging configuration" in str(failed.error), failed.story()
        (stuck,) = started(story, before)
        assert stuck in str(failed.error)
        story.wish(asking(story.spec, FEWER))
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()
        assert rolled(done)[0] == stuck
        assert not story.broken(*MASTERS), story.broken(*MASTERS)

    played(spec, happens)


def test_no_master_is_restarted_beside_one_that_is_not_well() -> None:
    async def happens(story: Story) -> None:
        before = starts(story)
        story.wish(asking(story.spec, FEWER))
        await story.happens(faults.Frozen(MASTER2))
        refused = await story.create(consents=ALL)
        assert refused.code is not ExitCode.CONVERGED, refused.story()
        assert not started(story, before)

    played(a_spec(3, 1), happens)


def test_killed_at_any_moment_the_same_command_goes_on() -> None:
    killed(lambda spec: asking(spec, KUBELET), ALL, every=13)


def killed(wish: Callable[[ClusterSpec], ClusterSpec], consents: Consents, *, every: int) -> None:
    """Demand that a wish comes true whenever the run for it is killed, by the same command again."""

    async def story_of(kill_at: int | None) -> tuple[list[str], list[str]]:
        async with healthy(5, a_spec(3, 1, load_balancer=True)) as story:
            story.wish(wish(story.spec))
            first = await story.create(kill_at=kill_at, consents=consents)
            second = await story.create(consents=consents)
            third = await story.create()
            broken = story.broken(*MASTERS, WORKER1)
            broken += [run.story() for run in (second, third) if run.code is not ExitCode.CONVERGED]
            return first.session.moments.passed, broken

    killed_at_every_moment(story_of, 5, every=every)


def test_beside_a_master_that_only_we_cannot_see_nothing_is_rolled_out_and_that_is_said() -> None:
    """It said "is up to date" of a worker that was asked for, and whose turn never came."""

    async def happens(story: Story) -> None:
        before = starts(story)
        silent = faults.SshSilent(MASTER1)
        await story.happens(silent)
        story.wish(asking(story.spec, KUBELET))
        left = await story.create(consents=Consents.of(Rollout(WORKER1.removeprefix(f"{story.spec.name}-"))))
        assert left.code is ExitCode.PENDING, left.story()
        assert left.told.forecast is not None
        assert f"{MASTER1} does not answer, and nothing is rolled out beside it" in "".join(
            left.told.forecast.left_alone
        )
        assert not started(story, before)
        await story.heals(silent)
        done = await story.create(consents=ALL)
        assert done.code is ExitCode.CONVERGED, done.story()

    played(a_spec(3, 2), happens)
