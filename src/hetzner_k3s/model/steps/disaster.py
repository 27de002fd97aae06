"""Steps after a disaster: quorum was lost, or the cluster meets its own past."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.operations.disaster import DataPrecondition


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldMaster:
    """Stop k3s on the master `target` and keep it down until its data's fate is decided; nothing is changed in it.

    Before that it is watched for `watched` seconds: one that finds a leader meanwhile is left alone.
    """

    target: str
    server_id: int
    precondition: DataPrecondition
    watched: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDatabase:
    """Copy the datastore, keys and token of the held master `target` to this machine, and verify the copy.

    `log` is how far its log goes: it tells this copy from an older one of the same host.
    """

    target: str
    server_id: int
    log: LogPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceMember:
    """Take the held master `target` out of service for good: off the load balancer, its data moved aside on its host.

    `ca` is the CA hash of the data that is meant.
    """

    target: str
    server_id: int
    ca: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetQuorum:
    """Make the held master `target` the only member of its cluster, under a new lineage, and start it.

    `ca` is the CA hash on its disk, `record` what its identity must be afterwards.
    """

    target: str
    server_id: int
    ca: str
    record: BirthRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptLineage:
    """Write the lineage that a reset or a restore began into everything that carries it.

    `target` is the cluster, `record` what is written, `via` the master that runs under that lineage.
    """

    target: str
    record: BirthRecord
    via: int
