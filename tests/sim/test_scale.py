"""Growing and shrinking: up without a restart, down one by one, with what runs on a Node moved off it first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from hetzner_k3s.lab.simulated.faults import PoweredOff, ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, DeleteLocalData, Prune
from hetzner_k3s.model.errors import DrainRefused, ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import mischief, workloads
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec
from .story import Story, healthy

_SEED = 44
_PRUNE = Consents.of(Prune())
MASTER4, MASTER5 = "prod-master4", "prod-master5"


def _play(happens: Callable[[Story], Awaitable[None]], spec: ClusterSpec | None = None) -> None:
    async def play() -> None:
        async with healthy(_SEED, spec) as story:
            await happens(story)

    run(play())


def _without_pools() -> ClusterSpec:
    return replace(a_spec(), pools=())


def test_one_master_grows_to_three_and_to_five_one_join_at_a_time() -> None:
    async def happens(story: Story) -> None:
        for wanted in (3, 5):
            story.wish(a_spec(wanted))
            grown = await story.create()
            assert grown.code is ExitCode.CONVERGED, grown.story()
            joins = [target for verb, target in grown.told.steps if verb == "JoinControlPlane"]
            assert sorted(joins) == [f"prod-master{index}" for index in range(wanted - 1, wanted + 1)], grown.story()
        await story.is_converged()
        addresses = {MASTER1: "", **{name: story.world.host(name).addresses[0] for name in (MASTER2, MASTER3)}}
        server = story.world.host(MASTER1).disk.facts().config_server or ""
        assert server.removeprefix("https://").partition(":")[0] in set(addresses.values()) - {""}, server

    _play(happens, a_spec(1))


def test_a_pool_that_the_file_has_no_more_goes_whole() -> None:
    async def happens(story: Story) -> None:
        story.wish(_without_pools())
        pruned = await story.create(consents=_PRUNE)
        assert {t for v, t in pruned.told.steps if v == "DeleteServer"} == {WORKER1, WORKER2}, pruned.story()
        await story.is_pruned(WORKER1, WORKER2)

    _play(happens)


def test_what_the_autoscaler_made_is_not_ours_to_prune() -> None:
    async def happens(story: Story) -> None:
        mischief.make_server(story.world, "prod-small-3f2a", {"hcloud/node-group": "small"})
        labels = naming.server_labels("prod", naming.ROLE_WORKER)
        mischief.make_server(story.world, "prod-pool-auto-worker1", {**labels, "hcloud/node-group": "auto"})
        await mischief.servers_run(story.world)
        pruned = await story.create(consents=_PRUNE)
        assert pruned.code is ExitCode.CONVERGED, pruned.story()
        assert not pruned.told.steps

    _play(happens)


def test_a_disruption_budget_holds_a_drain_back_and_is_named() -> None:
    async def happens(story: Story) -> None:
        await workloads.pod(story.world, "web-2", WORKER2)
        await workloads.budget(story.world, 0)
        story.wish(a_spec(workers=1))
        blocked = await story.create(consents=_PRUNE)
        assert isinstance(blocked.error, DrainRefused), blocked.story()
        assert "default/web-2 (its disruption budget does not let it go)" in str(blocked.error)
        assert 300 <= blocked.seconds < 400
        assert story.world.server(WORKER2) is not None
        left = await story.create()
        assert left.told.forecast is not None
        assert left.told.forecast.notes == (
            f"{WORKER2} is beyond the file and is left as it is; an unfinished --prune left it cordoned: run it again "
            "to let it go",
        )
        await workloads.budget(story.world, 1)
        await story.create(consents=_PRUNE)
        await story.is_pruned(WORKER2)

    _play(happens)


def test_a_pod_that_nothing_would_start_elsewhere_is_not_evicted() -> None:
    async def happens(story: Story) -> None:
        await workloads.pod(story.world, "web-2", WORKER2)
        await workloads.pod(story.world, "debug", WORKER2, None)
        story.wish(a_spec(workers=1))
        refused = await story.create(consents=_PRUNE)
        assert isinstance(refused.error, DrainRefused), refused.story()
        assert "default/debug" in str(refused.error)
        assert await workloads.pods(story.world) == ["debug", "web-2"]

    _play(happens)


def test_the_only_copy_of_a_volume_is_not_thrown_away() -> None:
    async def happens(story: Story) -> None:
        await workloads.local_volume(story.world, WORKER2)
        story.wish(a_spec(workers=1))
        refused = await story.create(consents=_PRUNE)
        assert "default/data-web-0" in str(refused.error), refused.story()
        assert story.world.server(WORKER2) is not None
        await workloads.without_volume(story.world)
        await story.create(consents=_PRUNE)
        await story.is_pruned(WORKER2)

    _play(happens)


def test_a_volume_that_is_given_up_goes_with_its_worker() -> None:
    """Its Node was drained, and then refused to go: the second look did not ask for the flag."""

    async def happens(story: Story) -> None:
        await workloads.local_volume(story.world, WORKER2)
        story.wish(a_spec(workers=1))
        await story.create(consents=_PRUNE.adding(DeleteLocalData()))
        await story.is_pruned(WORKER2)

    _play(happens)


def test_a_worker_that_is_off_goes_too() -> None:
    async def happens(story: Story) -> None:
        await workloads.pod(story.world, "web-2", WORKER2)
        await story.happens(PoweredOff(WORKER2))
        await asyncio.sleep(120)
        story.wish(a_spec(workers=1))
        await story.create(consents=_PRUNE)
        await story.is_pruned(WORKER2)

    _play(happens)


def test_the_load_balancer_sends_nobody_to_a_master_that_goes() -> None:
    async def happens(story: Story) -> None:
        seen: list[str] = []

        async def watch() -> None:
            while True:
                await asyncio.sleep(0.2)
                data = mischief.etcd(story.world).data
                voters = {m.name.rpartition("-")[0] for m in data.voters}
                for balancer in story.world.site.balancers.values():
                    names = {story.world.project.servers[t.server_id].name for t in balancer.targets}
                    seen.extend(names - voters)

        watching = asyncio.ensure_future(watch())
        story.wish(a_spec(3, load_balancer=True))
        await story.create(consents=_PRUNE)
        watching.cancel()
        assert not seen, f"targets that do not vote: {seen}"
        await story.is_pruned(MASTER4, MASTER5)

    _play(happens, a_spec(5, load_balancer=True))


def test_a_lost_master_of_the_file_is_replaced_through_one_beyond_it_before_that_goes() -> None:
    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(MASTER1))
        await mischief.election_over(story.world)
        story.wish(a_spec(1))
        done = await story.create(consents=_PRUNE)
        assert done.code is ExitCode.CONVERGED, done.story()
        verbs = [step for step in done.told.steps if step[0] in {"JoinControlPlane", "RetireMember"}]
        assert verbs == [("JoinControlPlane", MASTER1), ("RetireMember", MASTER3), ("RetireMember", MASTER2)]
        story.before = replace(story.before, servers={k: v for k, v in story.before.servers.items() if "worker" in k})
        await story.is_converged(MASTER1)

    _play(happens)


def test_a_master_whose_member_was_removed_does_not_join_again_by_itself() -> None:
    """k3s joins again when it starts with a tombstone; until its server is deleted it must not start."""

    async def happens(story: Story) -> None:
        story.wish(a_spec(1))
        killed = await story.create(consents=_PRUNE, kill_at=f"after StopK3s on {MASTER3}")
        assert killed.code is None, killed.story()
        await story.happens(PoweredOff(MASTER3))
        await asyncio.sleep(30)
        await story.heals(PoweredOff(MASTER3))
        await asyncio.sleep(120)
        members = sorted(m.name.rpartition("-")[0] for m in mischief.etcd(story.world).data.members.values())
        assert members == [MASTER1, MASTER2]
        await story.create(consents=_PRUNE)
        await story.is_pruned(MASTER2, MASTER3)

    _play(happens)
