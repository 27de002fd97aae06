"""What the model needs of an etcd member. `real_etcd` is a process; a deterministic one can stand in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class EtcdError(Exception):
    """etcd answered with an error; `message` is its text (`etcdserver: member not found`)."""

    def __init__(self, message: str, code: int = 2) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class EtcdUnavailable(EtcdError):
    """No answer: no leader, a time-out, or no process. A write may have happened."""


class Compacted(EtcdError):
    """The revision a watch or a read asks for is gone."""


@dataclass(frozen=True, slots=True)
class Member:
    """One entry of the member list; an unstarted member has an empty name."""

    id: int
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...] = ()
    learner: bool = False


@dataclass(frozen=True, slots=True)
class Status:
    """A member's own view; sizes in bytes, `leader` 0 while there is none."""

    cluster_id: int
    member_id: int
    revision: int
    version: str
    leader: int
    learner: bool
    raft_term: int
    db_size: int
    db_size_in_use: int


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A stored key with the revision of its last change."""

    key: str
    value: bytes
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Range:
    """A read with the store's revision at that moment."""

    revision: int
    entries: tuple[KeyValue, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One watched change; `value` is None for a deletion, `previous` None for a creation."""

    key: str
    value: bytes | None
    previous: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run the member.

    Args:
        name: member name.
        peers: `name=peer URL` of every member, for a member that has no WAL.
        existing: the peers are a running cluster.
        force_new: forget all other members (`--cluster-reset`).
    """

    name: str
    peers: tuple[str, ...] = ()
    existing: bool = False
    force_new: bool = False


class KeyValues(Protocol):
    """The part of etcd a Kubernetes API is stored in. Every read and write goes through the leader."""

    async def get(self, key: str) -> Range:
        """Read one key."""
        ...

    async def list(self, prefix: str) -> Range:
        """Read all keys below a prefix, ordered by key."""
        ...

    async def put(self, key: str, value: bytes, expected: int, lease: int = 0) -> int | None:
        """Write a key if its last change is revision `expected` (0: it does not exist); give the revision or None."""
        ...

    async def delete(self, key: str, expected: int) -> int | None:
        """Delete a key if its last change is revision `expected`; give the revision or None."""
        ...

    def watch(self, prefix: str, start_revision: int) -> AsyncIterator[tuple[Change, ...]]:
        """Follow changes below a prefix from a revision on.

        Raises:
            Compacted: the revision is gone.
            EtcdUnavailable: the connection ended.
        """
        ...

    async def grant(self, seconds: int) -> int:
        """Make an etcd lease."""
        ...

    async def keep_alive(self, lease: int) -> bool:
        """Renew an etcd lease; False when it is gone."""
        ...


class Etcd(KeyValues, Protocol):
    """One member: its process and its cluster."""

    async def start(self, launch: Launch) -> None:
        """Start the process; returns before it has a leader."""
        ...

    async def stop(self) -> None:
        """Stop the process and wait for its end."""
        ...

    @property
    def ended(self) -> asyncio.Future[bool]:
        """Done when the process ended by itself; True when it was removed from its cluster."""
        ...

    async def status(self) -> Status:
        """Ask this member (needs no leader)."""
        ...

    async def members(self) -> tuple[Member, ...]:
        """Ask the cluster (needs a leader)."""
        ...

    async def add_learner(self, peer_url: str) -> tuple[Member, ...]:
        """Add a learner; give the new list."""
        ...

    async def promote(self, member_id: int) -> None:
        """Make a learner a voter."""
        ...

    async def remove(self, member_id: int) -> None:
        """Remove a member."""
        ...

    async def move_leader(self, member_id: int) -> None:
        """Hand leadership over."""
        ...

    async def snapshot(self, path: Path) -> int:
        """Save a snapshot with its checksum to a file; give its size in bytes."""
        ...
