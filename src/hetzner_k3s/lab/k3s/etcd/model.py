"""A deterministic etcd: members without processes, that agree at once with whom they reach.

What it accepts, refuses and keeps is held to docs/facts/etcd.md and, of k3s, docs/facts/k3s.md.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from hetzner_k3s.lab.k3s.etcd import model_data as rules
from hetzner_k3s.lab.k3s.etcd.model_data import Data, Lease, Snapshot
from hetzner_k3s.lab.k3s.etcd.model_peers import Peer
from hetzner_k3s.lab.k3s.etcd.port import (
    Change,
    Compacted,
    EtcdError,
    EtcdUnavailable,
    KeyValue,
    Launch,
    Member,
    Range,
    Status,
)

VERSION = "3.6.14"
_REQUEST_SECONDS = 10.0
_LIST_SECONDS = 2.0


class ModelEtcd(Peer):
    """One member: `etcd_port.Etcd` on a `Drive`.

    Args:
        peers: its world.
        address: its peer address.
        trust: hash of the authority that signs its peer certificates.
        drive: its data directory.
    """

    @property
    def ended(self) -> asyncio.Future[bool]:
        return self._ended

    @property
    def healthy(self) -> bool:
        """Return what `2381/health` says: whether a leader answers."""
        return self._running and self.leader is not None

    @property
    def _serving(self) -> bool:
        """Check whether it answers clients: before it has told a leader its name it accepts and answers nothing."""
        return self._running and self.led

    # --- the process

    async def start(self, launch: Launch) -> None:
        url = f"https://{self.address}:2380"
        if self._drive.data is None:
            self._drive.data = self._found(url) if launch.existing else rules.first(launch.name, url)
        elif launch.force_new:
            disowned = self._peers.disown(self)
            rules.forget_others(self._drive.data, launch.name, url)
            if disowned:
                return self.end(removed=True)
        self._name = launch.name
        self._running, self.synced = True, not self.data.me.learner
        self._peers.enter(self)
        return self.publish()

    def _found(self, url: str) -> Data:
        """Learn who this member is from a cluster that lists its URL."""
        for other in self._peers.members():
            me = next((m for m in other.data.members.values() if url in m.peer_urls), None)
            if me is not None and other.trust == self.trust and self._peers.touch(self, other):
                return Data(other.data.cluster_id, me.id, dict(other.data.members), term=0, last_term=0, index=0)
        raise EtcdError("error validating peerURLs: member count is unequal")

    async def stop(self) -> None:
        self._halt()

    # --- what needs a leader

    async def _led(self, seconds: float) -> Peer:
        """Return the leader, waiting so long for one."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + seconds
        while self._running and self.leader is None and (left := ends - loop.time()) > 0:
            await asyncio.wait([self._peers.changed()], timeout=left)
        if not self._running or self.leader is None:
            raise EtcdUnavailable("context deadline exceeded", 4)
        self.publish()
        self._expire(self.leader)
        return self.leader

    def _expire(self, leader: Peer) -> None:
        now = asyncio.get_running_loop().time()
        for number, lease in sorted(leader.data.leases.items()):
            if now - lease.renewed > lease.seconds:
                for key in sorted(lease.keys & leader.data.keys.keys()):
                    self._write(leader, key, None, 0)
                for member in self._peers.followers(leader):
                    member.data.leases.pop(number, None)

    def _write(self, leader: Peer, key: str, value: bytes | None, lease: int) -> int:
        old = leader.data.keys.get(key)
        change = Change(key, value, old.value if old else None, leader.data.revision + 1)
        for member in self._peers.followers(leader):
            member.data.log()
            member.data.apply(change, lease)
            leader.progress[member.data.member_id] = member.data.index
            member.grown()
        return change.revision

    async def get(self, key: str) -> Range:
        leader = await self._led(_REQUEST_SECONDS)
        found = leader.data.keys.get(key)
        return Range(leader.data.revision, (found,) if found else ())

    async def list(self, prefix: str) -> Range:
        leader = await self._led(_REQUEST_SECONDS)
        keys = sorted(key for key in leader.data.keys if key.startswith(prefix))
        return Range(leader.data.revision, tuple(leader.data.keys[key] for key in keys))

    async def put(self, key: str, value: bytes, expected: int, lease: int = 0) -> int | None:
        leader = await self._led(_REQUEST_SECONDS)
        return self._write(leader, key, value, lease) if _unchanged(leader.data, key, expected) else None

    async def delete(self, key: str, expected: int) -> int | None:
        leader = await self._led(_REQUEST_SECONDS)
        return self._write(leader, key, None, 0) if _unchanged(leader.data, key, expected) else None

    async def grant(self, seconds: int) -> int:
        leader = await self._led(_REQUEST_SECONDS)
        number = int(self._peers.rng.token_hex(7), 16)
        now = asyncio.get_running_loop().time()
        for member in self._peers.followers(leader):
            member.data.log()
            member.data.leases[number] = Lease(seconds, now)
        return number

    async def keep_alive(self, lease: int) -> bool:
        leader = await self._led(_REQUEST_SECONDS)
        for member in self._peers.followers(leader):
            if lease in member.data.leases:
                member.data.leases[lease].renewed = asyncio.get_running_loop().time()
        return lease in leader.data.leases

    async def members(self) -> tuple[Member, ...]:
        return _listed((await self._led(_LIST_SECONDS)).data)

    async def add_learner(self, peer_url: str) -> tuple[Member, ...]:
        # Who is asked looks at its own connections before anybody leads or not.
        connected = len(self._peers.connected(self, rules.HEALTH_INTERVAL))
        if self._serving and rules.unsafe_addition(self.data, connected):
            raise EtcdError(rules.UNHEALTHY, 14)
        leader = await self._led(_REQUEST_SECONDS)
        if (refusal := rules.refuse_addition(leader.data, peer_url)) is not None:
            raise EtcdError(refusal, 9)
        number = rules.added_member_id(peer_url, self._peers.rng.token_hex(8))
        self._peers.configure(leader, {**leader.data.members, number: Member(number, "", (peer_url,), learner=True)})
        return _listed(leader.data)

    async def promote(self, member_id: int) -> None:
        leader = await self._led(_REQUEST_SECONDS)
        learner = leader.data.members.get(member_id)
        if learner is None:
            raise EtcdError(rules.NOT_FOUND, 5)
        # The match index counts, not life: a dead learner that had caught up becomes a dead voter
        # (docs/facts/k3s.md#dead-learner).
        if member_id != leader.data.member_id and leader.progress.get(member_id, 0) <= 0.9 * leader.data.index:
            raise EtcdError(rules.NOT_IN_SYNC, 9)
        if not learner.learner:
            raise EtcdError(rules.NO_LEARNER, 9)
        self._peers.configure(leader, {**leader.data.members, member_id: replace(learner, learner=False)})

    async def remove(self, member_id: int) -> None:
        victim = self.data.members.get(member_id) if self._serving else None
        if victim is not None:
            settled = self._peers.connected(self, rules.HEALTH_INTERVAL)
            refusal = rules.refuse_removal(self.data, victim, self._peers.connected(self, 0.0), settled)
            if refusal is not None:
                raise EtcdError(refusal, 14 if refusal == rules.UNHEALTHY else 9)
        leader = await self._led(_REQUEST_SECONDS)
        if member_id not in leader.data.members:
            raise EtcdError(rules.NOT_FOUND, 5)
        left = {number: member for number, member in leader.data.members.items() if number != member_id}
        self._peers.configure(leader, left, removed=member_id)

    async def move_leader(self, member_id: int) -> None:
        leader = await self._led(_REQUEST_SECONDS)
        heir = next((m for m in self._peers.followers(leader) if m.data.member_id == member_id), None)
        if heir is None or heir.data.me.learner:
            raise EtcdError("etcdserver: bad leader transferee", 9)
        leader.leads = False
        heir.leads, heir.progress = True, {}
        heir.data.term += 1
        heir.data.log()
        self._peers.settle()

    # --- what a member tells by itself

    async def status(self) -> Status:
        if not self._serving:
            raise EtcdUnavailable("context deadline exceeded", 4)
        data = self.data
        leader = self.leader.data.member_id if self.leader else 0
        size = sum(len(entry.value) for entry in data.keys.values())
        return Status(
            data.cluster_id, data.member_id, data.revision, VERSION, leader, data.me.learner, data.term, size, size
        )

    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[tuple[Change, ...]]:
        if start_revision <= self.data.compacted:
            raise Compacted("etcdserver: mvcc: required revision has been compacted", 11)
        while self._running:
            grown = self._grown
            found = tuple(c for c in _since(self.data.history, start_revision) if c.key.startswith(prefix))
            start_revision = self.data.revision + 1
            if found:
                yield found
            elif grown is self._grown:
                await grown.wait()
        raise EtcdUnavailable("watch ended", 14)

    def photograph(self) -> Snapshot:
        """Save the backend as this member has it."""
        return Snapshot(self.data.revision, tuple(self.data.keys[key] for key in sorted(self.data.keys)))

    async def snapshot(self, path: Path) -> int:
        await self._led(_REQUEST_SECONDS)
        saved = self.photograph()
        rows = [[e.key, e.value.decode("latin-1"), e.mod_revision] for e in saved.keys]
        return await asyncio.to_thread(path.write_text, json.dumps({"revision": saved.revision, "keys": rows}))

    def active_peers(self) -> tuple[int, ...]:
        """Return the ids of the members it is connected to (metric `etcd_network_active_peers`)."""
        others = (o for o in self._peers.members() if o is not self and self._peers.linked(self, o))
        return tuple(o.data.member_id for o in others)


def _unchanged(data: Data, key: str, expected: int) -> bool:
    found: KeyValue | None = data.keys.get(key)
    return (found.mod_revision if found else 0) == expected


def _since(history: list[Change], revision: int) -> list[Change]:
    """Return the changes from a revision on; they are few and at the end."""
    at = len(history)
    while at and history[at - 1].revision >= revision:
        at -= 1
    return history[at:]


def _listed(data: Data) -> tuple[Member, ...]:
    return tuple(member for _, member in sorted(data.members.items()))
