"""What an etcd member keeps on its disk, and the arithmetic of its quorum. Pure.

See docs/facts/etcd.md#quorum and docs/facts/etcd.md#ids.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from hetzner_k3s.lab.k3s.etcd.port import Change, KeyValue, Member

HEALTH_INTERVAL = 5.0
"""Seconds for which a voter must have been connected before a member may be added."""

UNHEALTHY = "etcdserver: unhealthy cluster"
TOO_MANY_LEARNERS = "etcdserver: too many learner members in cluster"
NOT_ENOUGH_STARTED = "etcdserver: re-configuration failed due to not enough started members"
NOT_IN_SYNC = "etcdserver: can only promote a learner member which is in sync with leader"
NOT_FOUND = "etcdserver: member not found"
URL_EXISTS = "etcdserver: Peer URLs already exists"
NO_LEARNER = "etcdserver: can only promote a learner member"


@dataclass(slots=True)
class Lease:
    """A lease: seconds it lives, when it was renewed last (the driver's clock), the keys that end with it."""

    seconds: int
    renewed: float
    keys: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Data:
    """A member's WAL and backend; `last_term` and `index` are those of its last log entry, `removed` never returns."""

    cluster_id: int
    member_id: int
    members: dict[int, Member]
    term: int = 1
    last_term: int = 1
    index: int = 1
    revision: int = 1
    compacted: int = 0
    keys: dict[str, KeyValue] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    leases: dict[int, Lease] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)

    @property
    def me(self) -> Member:
        """Return the member's own entry; a removed one has none and is given as it was."""
        return self.members.get(self.member_id) or Member(self.member_id, "", ())

    @property
    def committed(self) -> bool:
        """Check whether anything was ever committed: a first start that was killed before has no consistent index."""
        return self.index > 1 or bool(self.keys)

    @property
    def voters(self) -> list[Member]:
        """Return the members that vote, by id."""
        return [m for _, m in sorted(self.members.items()) if not m.learner]

    @property
    def position(self) -> tuple[int, int]:
        """Return how far the log goes, as elections compare it: last term, last index (a revision is no raft order)."""
        return (self.last_term, self.index)

    def log(self) -> None:
        """Append a log entry."""
        self.index += 1
        self.last_term = self.term

    def apply(self, change: Change, lease: int) -> None:
        """Carry out a change of a key and remember it for watchers; the lease that it had before lets go of it."""
        self.revision = change.revision
        self.history.append(change)
        for other in self.leases.values():
            other.keys.discard(change.key)
        if change.value is None:
            self.keys.pop(change.key, None)
            return
        self.keys[change.key] = KeyValue(change.key, change.value, change.revision)
        if lease in self.leases:
            self.leases[lease].keys.add(change.key)

    def follow(self, leader: Data) -> None:
        """Catch up with the leader's log, which is a continuation of this one."""
        self.term, self.last_term, self.index = leader.term, leader.last_term, leader.index
        self.revision, self.compacted = leader.revision, leader.compacted
        self.keys, self.history = dict(leader.keys), list(leader.history)
        self.leases = {i: Lease(lease.seconds, lease.renewed, set(lease.keys)) for i, lease in leader.leases.items()}
        self.members, self.removed = dict(leader.members), set(leader.removed)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A saved backend: every key at one revision."""

    revision: int
    keys: tuple[KeyValue, ...]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest()[:8], "big")


def first_member_id(peer_url: str) -> int:
    """Return the id of a cluster's first member: from its URL alone, so a second birth on that address has it again."""
    return _hash(f"{peer_url}etcd-cluster")


def added_member_id(peer_url: str, salt: str) -> int:
    """Return the id of a member that was added later."""
    return _hash(f"{peer_url}{salt}")


def first(name: str, peer_url: str) -> Data:
    """Make the data of a new cluster's only member."""
    member_id = first_member_id(peer_url)
    return Data(_hash(str(member_id)), member_id, {member_id: Member(member_id, name, (peer_url,))})


def restored(snapshot: Snapshot, name: str, peer_url: str, salt: str) -> Data:
    """Make the data of the only member of a cluster that starts from a snapshot: its cluster id is new."""
    member_id = _hash(f"{peer_url}{salt}")
    data = Data(_hash(str(member_id)), member_id, {member_id: Member(member_id, name, (peer_url,))})
    data.revision = data.compacted = snapshot.revision
    data.keys = {entry.key: entry for entry in snapshot.keys}
    return data


def forget_others(data: Data, name: str, peer_url: str = "") -> None:
    """Make a member the only one (`force-new-cluster`): ids stay, everybody else counts as removed for good."""
    me = data.me
    data.removed = (data.removed | set(data.members)) - {data.member_id}
    data.members = {data.member_id: Member(me.id, name, (peer_url,) if peer_url else me.peer_urls, me.client_urls)}
    data.log()


def majority(voters: int) -> int:
    """Return how many of `voters` make a quorum."""
    return voters // 2 + 1


def unsafe_addition(data: Data, connected: int) -> bool:
    """Check whether a member may not be added now.

    Args:
        data: of the member that is asked.
        connected: how many voters it has been connected to long enough, itself too.
    """
    voters = len(data.voters)
    return voters > 1 and connected < majority(voters + 1)


def refuse_addition(data: Data, peer_url: str) -> str | None:
    """Return why a learner may not be added to a list; `data` is the leader's."""
    if any(peer_url in m.peer_urls for m in data.members.values()):
        return URL_EXISTS
    return TOO_MANY_LEARNERS if any(m.learner for m in data.members.values()) else None


def refuse_removal(data: Data, victim: Member, active: Iterable[int], settled: Iterable[int]) -> str | None:
    """Return why a member may not be removed.

    A victim that is down is safe to remove; learners always are.

    Args:
        data: the list it is in.
        victim: the member.
        active: the voters that are connected now, itself too.
        settled: those of them that were connected long enough.
    """
    if victim.learner:
        return None
    left = [m for m in data.voters if m.id != victim.id]
    if not left or sum(bool(m.name) for m in left) < majority(len(left)):
        return NOT_ENOUGH_STARTED
    if victim.id in set(active) and len(set(settled)) - 1 < 1 + len(left) // 2:
        return UNHEALTHY
    return None
