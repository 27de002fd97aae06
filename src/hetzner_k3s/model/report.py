"""What `status` tells: the cluster as it is, who belongs to it, what drifted, and how well it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hetzner_k3s.model.identity import BirthRecord, RecordConflict
from hetzner_k3s.model.plan import Forecast

CLUSTER_OF_2X: Final = "cluster.of-2x"
"""The refusal to work on a cluster that hetzner-k3s 2.x made."""


class Health(Enum):
    """How well a cluster is, the worst that is true; `status` ends with an exit code for each."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    NO_QUORUM = "no-quorum"
    SPLIT = "split"
    UNKNOWN = "unknown"


class MemberState(Enum):
    """What an etcd member is, as its own host tells.

    UNREACHABLE is one whose host does not answer, ERASED one whose host answers without its data, DEAD one whose
    machine is proven gone.
    """

    LEADER = "leader"
    VOTER = "voter"
    LEARNER = "learner"
    UNHEALTHY = "unhealthy"
    UNREACHABLE = "unreachable"
    ERASED = "erased"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerReport:
    """A server that the file wants or that carries the cluster's labels, as Hetzner, its host and Kubernetes see it.

    `id` is None where the file wants it and it does not exist; `stage` says how far it has come, `detail` what is
    wrong; `host` is how it answers by SSH; `unit` systemd's state of k3s; `node` Ready, NotReady or None.
    """

    name: str
    role: str
    in_file: bool
    id: int | None = None
    hetzner: str = "absent"
    address: str | None = None
    host: str | None = None
    stage: str | None = None
    detail: str = ""
    version: str | None = None
    unit: str | None = None
    etcd: str | None = None
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberReport:
    """A member of the etcd list; `connected` names the masters whose etcd talks to it."""

    id: str
    name: str
    address: str
    state: MemberState
    connected: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """A Node of the Kubernetes API; `server_id` is the server it runs on, where it is known."""

    name: str
    ready: bool
    control_plane: bool
    server_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranger:
    """A server with the cluster's labels whose disk is another cluster's, or its own past's."""

    server: str
    saw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotReport:
    """A snapshot of etcd: `where` it lies, `created` in UNIX seconds, `age` in seconds, `size` in bytes."""

    name: str
    where: str
    created: float
    age: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Something that is no longer as the file, or the cluster, would have it; `code` is stable."""

    code: str
    subject: str
    saw: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many voters there are, how many of them are healthy, and how many it takes."""

    voters: int
    healthy: int
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One cluster at one moment (`observed_at`, UNIX seconds); `forecast` is what `create` would do about it."""

    cluster: str
    observed_at: float
    health: Health
    because: tuple[str, ...]
    record: BirthRecord | RecordConflict
    strangers: tuple[Stranger, ...]
    quorum: Quorum | None
    servers: tuple[ServerReport, ...]
    members: tuple[MemberReport, ...]
    nodes: tuple[NodeReport, ...]
    file_version: str
    versions: Mapping[str, tuple[str, ...]]
    """Each k3s version that runs, with the names of the servers that run it."""
    snapshots: tuple[SnapshotReport, ...]
    not_seen: tuple[str, ...]
    """What could not be looked at from here, each with the reason."""
    this_machine: tuple[str, ...]
    """What `create` would do, or refuse, for the sake of the machine that looks; no reason to be degraded."""
    beyond_file: tuple[str, ...]
    drift: tuple[Drift, ...]
    forecast: Forecast
    tokens: tuple[str, ...] = ()
    """What its owner should know of the tokens: where the servers' one lies, and who holds it that need not."""
    on_database: bool = False
    """Whether the data lies in an external database: then there are no members, by design."""
    surge: tuple[str, ...] = ()
    """Which of `beyond_file` a rollout left that was not ended, and how they go, a sentence each."""
