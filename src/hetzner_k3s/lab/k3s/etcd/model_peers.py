"""How simulated etcd members find each other: links, quorum, elections, catching up, expulsion.

Raft's messages are left out; what it guarantees is kept. An entry that a leader with a quorum takes is on every member
it is connected to at that moment; who was away catches up; without a quorum nothing is written and nobody leads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from hetzner_k3s.lab.k3s.etcd import model_data as rules
from hetzner_k3s.lab.k3s.etcd.model_data import Data
from hetzner_k3s.lab.k3s.etcd.port import Member
from hetzner_k3s.ports import Rng

_FIRST_ELECTION = (0.3, 1.2)
"""A lone voter does not wait for anybody (runs/17_timeline_m1.txt: etcd healthy half a second after its start)."""
_COLD_ELECTION = (1.0, 3.0)
_ELECTION = (5.0, 9.0)
"""k3s sets an election time-out of 5 s; a new leader was seen 5.6 and 8.9 s after the old one's loss."""
_CATCH_UP = (0.1, 0.4)


@dataclass(slots=True)
class Drive:
    """Where a member's data lies; it outlives the process. None: there is no WAL."""

    data: Data | None = None


class Peer:
    """A member as the others know it.

    Args:
        peers: its world.
        address: its peer address.
        trust: hash of the authority that signs its peer certificates.
        drive: its data directory.
    """

    def __init__(self, peers: Peers, address: str, trust: str, drive: Drive) -> None:
        self._peers, self.address, self.trust, self._drive = peers, address, trust, drive
        self.leader: Peer | None = None
        self.leads = self.synced = self.led = self._running = False
        self.progress: dict[int, int] = {}
        self.election: asyncio.TimerHandle | None = None
        self._syncing: asyncio.TimerHandle | None = None
        self._grown: asyncio.Event = asyncio.Event()
        self._ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._name = ""

    @property
    def data(self) -> Data:
        """Return the data; only a started member has some."""
        assert self._drive.data is not None
        return self._drive.data

    def end(self, *, removed: bool) -> None:
        """End by itself, as one that was removed does."""
        self._halt()
        if not self._ended.done():
            self._ended.set_result(removed)

    def _halt(self) -> None:
        if not self._running:
            return
        self._running = self.leads = False
        self.leader = None
        if self._syncing is not None:
            self._syncing.cancel()
        self._peers.leave(self)
        self.grown()

    def cancel_election(self) -> None:
        """Wait no longer for the chance to lead."""
        if self.election is not None:
            self.election.cancel()
            self.election = None

    def sync_later(self, seconds: float) -> None:
        """Have caught up with the leader after a while."""
        if self._syncing is None or self._syncing.cancelled():
            self._syncing = asyncio.get_running_loop().call_later(seconds, self._synced)

    def _synced(self) -> None:
        self._syncing = None
        self.synced = self._running
        self._peers.settle()
        self.publish()

    def grown(self) -> None:
        """Tell watchers that the log has grown, or that it never will again."""
        self._grown.set()
        self._grown = asyncio.Event()

    def publish(self) -> None:
        """Let the cluster know the name, as soon as there is a leader to tell."""
        leader = self.leader
        if leader is None or self._name == "":
            return
        mine = leader.data.members.get(self.data.member_id)
        if mine is not None and mine.name != self._name:
            named = replace(mine, name=self._name, client_urls=(f"https://{self.address}:2379",))
            self._peers.configure(leader, {**leader.data.members, mine.id: named})


class Peers:
    """All members of a simulated world, and who reaches whom.

    Args:
        reaches: tells whether one peer address reaches another now; after a change call `settle`.
        rng: draws election and catch-up times.
    """

    def __init__(self, reaches: Callable[[str, str], bool], rng: Rng) -> None:
        self._reaches, self.rng = reaches, rng
        self._running: dict[str, Peer] = {}
        self._since: dict[tuple[str, str], float] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self.catch_up: Callable[[str], tuple[float, float]] = lambda _address: _CATCH_UP
        """Bounds in seconds for a learner at this address to catch up; a slow host takes longer."""

    def members(self) -> list[Peer]:
        """Return the running members, by address."""
        return [member for _, member in sorted(self._running.items())]

    def at(self, address: str) -> Peer | None:
        """Return the running member at a peer address."""
        return self._running.get(address)

    def enter(self, member: Peer) -> None:
        """Let a member take part."""
        self._running[member.address] = member
        self.settle()

    def leave(self, member: Peer) -> None:
        """Let a member take part no longer."""
        if self._running.get(member.address) is member:
            del self._running[member.address]
        member.cancel_election()
        self.settle()

    def linked(self, one: Peer, other: Peer) -> bool:
        """Check whether two members talk: they reach and trust each other, and each lists the other."""
        return one is other or (
            one.data.cluster_id == other.data.cluster_id
            and one.trust == other.trust
            and other.data.member_id in one.data.members
            and one.data.member_id in other.data.members
            and self.touch(one, other)
        )

    def touch(self, one: Peer, other: Peer) -> bool:
        """Check whether packets go both ways."""
        return self._reaches(one.address, other.address) and self._reaches(other.address, one.address)

    def linked_for(self, one: Peer, other: Peer) -> float:
        """Return the seconds for which two members have been linked."""
        if one is other:
            return float("inf")
        since = self._since.get(_pair(one, other))
        return -1.0 if since is None else asyncio.get_running_loop().time() - since

    def settle(self) -> None:
        """Let every member find out what has become of the others."""
        self._expel()
        self._note_links()
        members = self.members()
        for member in members:
            member.leads = member.leads and member.data.member_id in member.data.members and self.has_quorum(member)
        for member in members:
            member.leader = self._leader_of(member)
            member.leads = member.leader is member
            member.led = member.led or member.leader is not None
        for member in members:
            self._follow(member)
        for member in members:
            self._campaign(member)
        self._wake()

    def _expel(self) -> None:
        """Tell members that were removed so, when one reaches them that knows.

        See docs/facts/k3s.md#lineage.
        """
        for one in self.members():
            for other in self.members():
                if self._tells_it_is_removed(one, other):
                    other.end(removed=True)

    def _tells_it_is_removed(self, one: Peer, other: Peer) -> bool:
        """Check whether a member hears from another one that it was removed: whom it lists, it calls."""
        same = one.data.cluster_id == other.data.cluster_id and one.trust == other.trust
        calls = one.data.member_id in other.data.members and self.touch(one, other)
        return same and calls and other.data.member_id in one.data.removed

    def disown(self, member: Peer) -> bool:
        """Check whether a member that starts alone still hears that it was removed, from those it listed until now."""
        return any(self._tells_it_is_removed(one, member) for one in self.members() if one is not member)

    def _note_links(self) -> None:
        now = asyncio.get_running_loop().time()
        members = self.members()
        pairs = {_pair(a, b) for a in members for b in members if a is not b and self.linked(a, b)}
        self._since = {pair: self._since.get(pair, now) for pair in pairs}

    def has_quorum(self, member: Peer) -> bool:
        """Check whether a member reaches a majority of the voters that it lists, itself included."""
        return len(self.connected(member, 0.0)) >= rules.majority(len(member.data.voters))

    def connected(self, member: Peer, seconds: float) -> list[int]:
        """Return the ids of the voters that a member has been connected to for so long, itself too."""
        voters = {m.id for m in member.data.voters}
        others = (o for o in self.members() if o.data.member_id in voters and self.linked(member, o))
        return [o.data.member_id for o in others if self.linked_for(member, o) >= seconds]

    def _leader_of(self, member: Peer) -> Peer | None:
        leaders = [o for o in self.members() if o.leads and self.linked(member, o) and self.has_quorum(o)]
        return max(leaders, key=lambda leader: leader.data.term, default=None)

    def _follow(self, member: Peer) -> None:
        leader = member.leader
        if leader is None or leader is member:
            return
        if leader.data.members[member.data.member_id].learner and not member.synced:
            member.sync_later(self.rng.uniform(*self.catch_up(member.address)))
            return
        member.synced = True
        if member.data.position != leader.data.position or member.data.term != leader.data.term:
            member.data.follow(leader.data)
            member.grown()
        leader.progress[member.data.member_id] = member.data.index

    def _campaign(self, member: Peer) -> None:
        electable = member.leader is None and not member.data.me.learner and self.has_quorum(member)
        if not electable or member.data.member_id not in member.data.members:
            member.cancel_election()
        elif member.election is None:
            bounds = _FIRST_ELECTION if len(member.data.voters) == 1 else _ELECTION if member.led else _COLD_ELECTION
            loop = asyncio.get_running_loop()
            member.election = loop.call_later(self.rng.uniform(*bounds), self._elect, member)

    def _elect(self, member: Peer) -> None:
        """Make the voter leader whose log is ahead of all others among those the candidate reaches."""
        member.election = None
        reached = [o for o in self.members() if o.data.member_id in self.connected(member, 0.0)]
        reached = [o for o in reached if self.linked(member, o) and self.has_quorum(o)]
        if member.leader is not None or not reached:
            return self.settle()
        winner = max(reached, key=lambda o: (o.data.position, o is member, o.address))
        winner.data.term = max(o.data.term for o in reached) + 1
        winner.data.log()
        winner.leads, winner.progress = True, {}
        for lease in winner.data.leases.values():
            lease.renewed = asyncio.get_running_loop().time()
        for other in reached:
            other.cancel_election()
        return self.settle()

    def followers(self, leader: Peer) -> list[Peer]:
        """Return the members that take the leader's entries as they come, itself first."""
        others = (o for o in self.members() if o is not leader and o.synced and o.leader is leader)
        return [leader, *others]

    def configure(self, leader: Peer, members: dict[int, Member], removed: int | None = None) -> None:
        """Carry out a change of the member list."""
        for member in self.followers(leader):
            member.data.log()
            member.data.members = dict(members)
            member.data.removed |= {removed} if removed is not None else set()
            leader.progress[member.data.member_id] = member.data.index
        self.settle()

    def changed(self) -> asyncio.Future[None]:
        """Return a future that is done after the next settlement."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


def _pair(one: Peer, other: Peer) -> tuple[str, str]:
    return (min(one.address, other.address), max(one.address, other.address))
