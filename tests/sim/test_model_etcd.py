"""The deterministic etcd against what a real one was seen to do (docs/facts/etcd.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from hetzner_k3s.lab.k3s.etcd import model_data as rules
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.model_peers import Drive, Peers
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, EtcdUnavailable, Launch
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.virtual_time import run

_CONNECTED = 6.0
"""Seconds after which a new voter has been connected long enough for the next member."""


@dataclass
class Cluster:
    """Members by number; `down` are cut from all others."""

    down: set[str] = field(default_factory=set)
    drives: dict[int, Drive] = field(default_factory=dict)
    etcd: dict[int, ModelEtcd] = field(default_factory=dict)
    starts: int = 0

    def __post_init__(self) -> None:
        self.peers = Peers(lambda a, b: not {a, b} & self.down, Chance(1))

    async def start(self, number: int, *, existing: bool = False, force_new: bool = False) -> ModelEtcd:
        """Start a member."""
        self.starts += 1
        drive = self.drives.setdefault(number, Drive())
        self.etcd[number] = etcd = ModelEtcd(self.peers, address(number), "ca", drive)
        await etcd.start(Launch(f"m{number}-{self.starts}", existing=existing, force_new=force_new))
        return etcd

    async def grow(self, size: int) -> None:
        """Begin a cluster and add voters until there are so many."""
        await self.start(1)
        await self.led()
        for number in range(2, size + 1):
            await self.join(number)

    async def join(self, number: int, *, through: int = 1) -> None:
        """Add a learner, start it, promote it."""
        await asyncio.sleep(_CONNECTED)
        await self.etcd[through].add_learner(f"https://{address(number)}:2380")
        learner = await self.start(number, existing=True)
        await asyncio.sleep(1)
        await self.etcd[through].promote(learner.data.member_id)
        await asyncio.sleep(_CONNECTED)

    async def led(self) -> None:
        """Wait for an election."""
        await asyncio.sleep(20)

    def cut(self, *numbers: int) -> None:
        """Cut members off."""
        self.down |= {address(number) for number in numbers}
        self.peers.settle()

    def join_again(self, *numbers: int) -> None:
        """Let members reach the others again."""
        self.down -= {address(number) for number in numbers}
        self.peers.settle()


def address(number: int) -> str:
    """Give a member's address."""
    return f"10.0.0.{number}"


Story = Callable[[Cluster], Awaitable[None]]


def play(size: int, story: Story) -> None:
    """Grow a cluster and let a story happen to it."""

    async def whole() -> None:
        cluster = Cluster()
        await cluster.grow(size)
        await story(cluster)

    run(whole())


async def _refusal(work: Awaitable[object]) -> str:
    with pytest.raises(EtcdError) as refused:
        await work
    return refused.value.message


def test_a_dead_member_of_three_blocks_every_join_and_its_removal_frees_it() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.etcd[3].stop()
        await asyncio.sleep(_CONNECTED)
        assert await _refusal(cluster.etcd[1].add_learner("https://10.0.0.9:2380")) == rules.UNHEALTHY
        await cluster.etcd[1].remove(cluster.etcd[3].data.member_id)
        await cluster.etcd[1].add_learner("https://10.0.0.9:2380")

    play(3, story)


def test_five_with_one_dead_accept_a_join() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.etcd[5].stop()
        await asyncio.sleep(_CONNECTED)
        await cluster.etcd[1].add_learner("https://10.0.0.9:2380")

    play(5, story)


def test_one_learner_at_a_time_and_a_new_voter_must_have_been_connected() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.etcd[1].add_learner("https://10.0.0.2:2380")
        assert await _refusal(cluster.etcd[1].add_learner("https://10.0.0.3:2380")) == rules.TOO_MANY_LEARNERS
        learner = await cluster.start(2, existing=True)
        assert await _refusal(cluster.etcd[1].promote(learner.data.member_id)) == rules.NOT_IN_SYNC
        await asyncio.sleep(1)
        await cluster.etcd[1].promote(learner.data.member_id)
        assert await _refusal(cluster.etcd[1].add_learner("https://10.0.0.3:2380")) == rules.UNHEALTHY
        await asyncio.sleep(_CONNECTED)
        await cluster.etcd[1].add_learner("https://10.0.0.3:2380")

    play(1, story)


def test_a_dead_learner_that_had_caught_up_becomes_a_dead_voter() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.etcd[1].add_learner("https://10.0.0.3:2380")
        learner = await cluster.start(3, existing=True)
        await asyncio.sleep(1)
        await learner.stop()
        await cluster.etcd[1].promote(learner.data.member_id)
        assert len(cluster.etcd[1].data.voters) == 3
        await asyncio.sleep(_CONNECTED)
        assert await _refusal(cluster.etcd[1].add_learner("https://10.0.0.4:2380")) == rules.UNHEALTHY

    play(2, story)


def test_without_quorum_nothing_is_written_and_nobody_leads() -> None:
    async def story(cluster: Cluster) -> None:
        revision = cluster.etcd[1].data.revision
        cluster.cut(2, 3)
        assert not cluster.etcd[1].healthy
        for work in (cluster.etcd[1].put("k", b"v", 0), cluster.etcd[1].members(), cluster.etcd[1].get("k")):
            with pytest.raises(EtcdUnavailable):
                await work
        assert (await cluster.etcd[1].status()).leader == 0
        assert cluster.etcd[1].data.revision == revision
        cluster.join_again(2, 3)
        await cluster.led()
        assert await cluster.etcd[1].put("k", b"v", 0)

    play(3, story)


def test_who_was_away_catches_up_and_a_lost_leader_has_a_successor_within_an_election() -> None:
    async def story(cluster: Cluster) -> None:
        leader = next(n for n, etcd in cluster.etcd.items() if etcd.leads)
        other = next(n for n in cluster.etcd if n != leader)
        cluster.cut(leader)
        began = asyncio.get_running_loop().time()
        assert await cluster.etcd[other].put("k", b"v", 0)
        assert 5 <= asyncio.get_running_loop().time() - began <= 10
        assert "k" not in cluster.etcd[leader].data.keys
        cluster.join_again(leader)
        assert cluster.etcd[leader].data.keys["k"].value == b"v"

    play(3, story)


def test_a_healthy_member_of_two_is_not_removed_and_removing_twice_finds_nobody() -> None:
    async def story(cluster: Cluster) -> None:
        victim = cluster.etcd[3].data.member_id
        await cluster.etcd[3].stop()
        await cluster.led()
        assert await _refusal(cluster.etcd[1].remove(cluster.etcd[2].data.member_id)) == rules.UNHEALTHY
        await cluster.etcd[1].remove(victim)
        assert await _refusal(cluster.etcd[1].remove(victim)) == rules.NOT_FOUND

    play(3, story)


def test_the_last_voter_cannot_be_removed() -> None:
    async def story(cluster: Cluster) -> None:
        assert await _refusal(cluster.etcd[1].remove(cluster.etcd[1].data.member_id)) == rules.NOT_ENOUGH_STARTED

    play(1, story)


def test_a_second_birth_on_the_same_address_has_the_same_ids() -> None:
    async def story(cluster: Cluster) -> None:
        before = cluster.etcd[1].data
        await cluster.etcd[1].stop()
        cluster.drives[1].data = None
        again = (await cluster.start(1)).data
        assert (again.cluster_id, again.member_id) == (before.cluster_id, before.member_id)

    play(1, story)


def test_a_reset_keeps_ids_and_data_and_its_past_ends_where_it_reaches_it() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.etcd[1].put("k", b"v", 0)
        before = cluster.etcd[1].data
        cluster_id, member_id = before.cluster_id, before.member_id
        for number in (1, 2, 3):
            await cluster.etcd[number].stop()
        survivor = await cluster.start(1, force_new=True)
        await cluster.led()
        assert (survivor.data.cluster_id, survivor.data.member_id) == (cluster_id, member_id)
        assert survivor.data.keys["k"].value == b"v"
        for number in (2, 3):
            old = await cluster.start(number)
            assert old.ended.result(), "it was not told that it was removed"

    play(3, story)


def test_a_past_that_does_not_reach_the_reset_lives_again() -> None:
    async def story(cluster: Cluster) -> None:
        for number in (1, 2, 3):
            await cluster.etcd[number].stop()
        survivor = await cluster.start(1, force_new=True)
        await cluster.led()
        await survivor.put("after", b"reset", 0)
        await survivor.stop()
        old = [await cluster.start(number) for number in (2, 3)]
        await cluster.led()
        assert await old[0].put("old", b"lives", 0)
        assert "after" not in old[0].data.keys
        await cluster.start(1)
        assert all(etcd.ended.done() for etcd in old), "the two histories did not notice each other"

    play(3, story)


def test_a_restored_snapshot_is_a_new_cluster_with_the_old_keys() -> None:
    async def story(cluster: Cluster) -> None:
        await cluster.etcd[1].put("k", b"v", 0)
        saved = cluster.etcd[1].photograph()
        await cluster.etcd[1].put("later", b"v", 0)
        data = rules.restored(saved, "m9", "https://10.0.0.9:2380", "salt")
        assert data.cluster_id != cluster.etcd[1].data.cluster_id
        assert set(data.keys) == {"k"}
        assert data.revision == saved.revision

    play(1, story)


def test_watchers_see_every_change_once_and_an_expired_lease_takes_its_keys_along() -> None:
    async def story(cluster: Cluster) -> None:
        etcd = cluster.etcd[2]
        seen: list[tuple[str, bytes | None]] = []

        async def watch() -> None:
            async for changes in etcd.watch("w/", etcd.data.revision + 1):
                seen.extend((change.key, change.value) for change in changes)

        watching = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        lease = await etcd.grant(15)
        await cluster.etcd[1].put("w/1", b"a", 0, lease)
        await cluster.etcd[1].put("x/1", b"a", 0)
        await asyncio.sleep(20)
        assert not (await etcd.get("w/1")).entries
        await asyncio.sleep(0)
        watching.cancel()
        assert seen == [("w/1", b"a"), ("w/1", None)]

    play(3, story)


def test_a_key_that_is_written_anew_outlives_the_lease_it_had_before() -> None:
    """Seen on Debian's etcd 3.4.23, with a new lease and with none (TRACK_RECORD.md, O19)."""

    async def story(cluster: Cluster) -> None:
        etcd = cluster.etcd[1]
        first, second = await etcd.grant(15), await etcd.grant(60)
        for key, lease in (("leased", second), ("kept", 0)):
            revision = await etcd.put(key, b"a", 0, first)
            assert await etcd.put(key, b"b", revision or 0, lease)
        await asyncio.sleep(20)
        assert (await etcd.get("leased")).entries
        assert first not in etcd.data.leases
        assert (await etcd.get("kept")).entries
        await asyncio.sleep(50)
        assert not (await etcd.get("leased")).entries

    play(3, story)
