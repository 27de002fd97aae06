"""A cluster without a quorum: its masters held, read, fenced, and one of them made the only member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.operations.operation import Done, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPrecondition:
    """Whose data a host holds, as a decision saw it; the script reads it again in the same call.

    `ca` is the CA hash on its disk. `leader` is the decimal id of the etcd leader that its k3s follows: None where it
    saw none, so that a host which has one by now is left alone.
    """

    ca: str
    leader: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldK3s(Operation[Done]):
    """Stop k3s as a server, disable it, and mark the host so that the start guard refuses until the mark is gone.

    For `watched` seconds before, its etcd must be seen to follow the leader of `precondition`, or nobody.
    """

    mutating: ClassVar[bool] = True
    precondition: DataPrecondition
    watched: float = 0.0
    fence: int


@dataclass(frozen=True, slots=True)
class ReadLog(Operation[LogPosition | None]):
    """Read how far the etcd log of a held host goes, out of its last `segments` files; None if they hold no entry."""

    segments: int


@dataclass(frozen=True, slots=True)
class ReadStoredUid(Operation[str | None]):
    """Read the kube-system UID out of etcd's file on a held host; None if it is not found there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDatabase(Operation[Done]):
    """Send `server/db/etcd`, `tls`, `cred` and `token` of a held host as a tar stream that begins with their checksums.

    Read through `Hosts.stream`, never through `perform`: it may be gigabytes.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceMember(Operation[Done]):
    """Move what makes a held host a member of its cluster aside, so that it can never vote for it again.

    `server` goes to `server-fenced-<unix>` whole, with the agent's certificates; nothing is deleted. Afterwards the
    host is like an empty one, and may join. `ca` is the CA hash that the decision saw on its disk.
    """

    mutating: ClassVar[bool] = True
    ca: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetCluster(Operation[Done]):
    """Make a held host its cluster's only member, as `k3s server --cluster-reset` does, and start it.

    The lineage file is written first. What proves success (docs/facts/k3s.md#reset): the write-
    ahead log was there before, the success line came; CA, UID and member list afterwards are the caller's to read.
    """

    mutating: ClassVar[bool] = True
    ca: str
    lineage: str
    parent: str | None
    fence: int
