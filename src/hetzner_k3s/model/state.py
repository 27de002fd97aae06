"""Everything one observation saw; the only thing, beside the spec, that decisions are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from statistics import median_low
from typing import Final

from hetzner_k3s.model.cloud import CloudView, Server
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.hetzner.assortment import Assortment
from hetzner_k3s.model.host import HostFacts, HostReading, LogPosition
from hetzner_k3s.model.hosts.origin import Introduction, Origin
from hetzner_k3s.model.kube import KubeView, NamedVolumes, TokenGrant
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import GivenFile, SnapshotFile, StoredSnapshot
from hetzner_k3s.model.tokens import HeldTokens
from hetzner_k3s.model.version import K3sVersion

UNREADABLE: Final = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescue:
    """A copy of a host's datastore, keys and token that lies here: whose it is, and how far its log goes."""

    server_id: int
    server: str
    log: LogPosition


@dataclass(frozen=True, slots=True, kw_only=True)
class MergedKubeconfig:
    """The kubeconfig that was written into, and where a copy of it as it was lies (None: nothing else was in it)."""

    path: str
    kept: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalEvidence:
    """What this machine remembers of the cluster; it may forbid a birth, never permit anything.

    See docs/architecture.md#bootstrap.

    `kubeconfig_ca` is the CA hash in the kubeconfig at the configured path where it has this cluster's context,
    `UNREADABLE` where it cannot be parsed; `kubeconfig_servers` maps its contexts to API URLs;
    `open_birth` is true when the journal here tells of a birth that no `delete` closed; `rescues` are the copies of
    hosts' data that lie here, verified; `token_hashes` those of the k3s tokens that the user handed to this run, and
    `agent_hashes` of those that admit agents only; `kept` are the tokens that earlier runs kept here, the newest first;
    `snapshot` the file that its `Restore` names; `given_up` the CA hashes of clusters of this name that were deleted,
    or given up, from here.
    """

    kubeconfig_ca: str | None = None
    kubeconfig_servers: Mapping[str, str] = field(default_factory=dict)
    open_birth: bool = False
    token_hashes: tuple[str, ...] = ()
    agent_hashes: tuple[str, ...] = ()
    kept: tuple[HeldTokens, ...] = ()
    given_up: tuple[str, ...] = ()
    rescues: tuple[Rescue, ...] = ()
    snapshot: GivenFile | None = None
    public_address: str | None = None
    """The address that this machine has in the internet by itself; None behind a router that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """One observation: `observed_at` (UNIX seconds) is the only "now" a decision may use.

    `hosts` and `kube` are keyed by server id; a server that was not looked at has no entry.
    """

    observed_at: float
    cloud: Reading[CloudView]
    hosts: Mapping[int, HostReading] = field(default_factory=dict)
    kube: Mapping[int, Reading[KubeView]] = field(default_factory=dict)
    local: LocalEvidence = LocalEvidence()
    ordered: frozenset[int] = frozenset()
    """Servers (ids) that this very run asked Hetzner for, and that Hetzner answered as new: their disks are empty."""
    lookups: Mapping[int, Reading[bool]] = field(default_factory=dict)
    """Whether a server id that a Node records still exists, asked by id (a page that is missing is no absence)."""
    grants: Mapping[Secret, Reading[TokenGrant]] = field(default_factory=dict)
    """What a Hetzner token in the cluster opens, asked where it is another one than this run's."""

    origins: Mapping[int, Reading[Origin]] = field(default_factory=dict)
    """How k3s was installed on servers with our names and no host key of ours, asked while no birth is recorded."""
    strangers: Mapping[int, Reading[Introduction]] = field(default_factory=dict)
    """What hosts without a host key of ours told, where a cluster of 2.x is to be adopted, or was."""
    named_volumes: Mapping[int, Reading[NamedVolumes]] = field(default_factory=dict)
    """What masters told of PersistentVolumes, asked where a deletion finds volumes that no server has."""
    rebuilds: Mapping[int, Reading[float | None]] = field(default_factory=dict)
    """When the newest rebuild of a server ended (UNIX seconds; None: never), asked of members with their boot key."""

    snapshots: Reading[tuple[StoredSnapshot, ...]] | None = None
    """What lies in S3; None where nobody looked: the file names no S3, or nothing depends on it."""

    on_hosts: Mapping[int, Reading[tuple[SnapshotFile, ...]]] = field(default_factory=dict)
    """What the snapshot files of a host without data say, read only while no master answers as a voter."""

    assortment: Reading[Assortment] | None = None
    """What Hetzner sells; None where nobody looked, because no server of the file is missing."""
    releases: Reading[Mapping[str, K3sVersion]] | None = None
    """The newest k3s release of each line (`v1.36`); None where nobody looked."""

    @property
    def view(self) -> CloudView:
        """Return the listing, empty when it is unknown (a gate refuses before anyone acts on that)."""
        return self.cloud.value if isinstance(self.cloud, Known) else CloudView()

    @property
    def cluster_ahead(self) -> float:
        """Return by how many seconds the cluster's clocks are ahead of this machine's (negative: behind).

        It is the median of the hosts that were looked at: one wrong clock among them is not this machine's. Before
        there are any it is what Hetzner's own clock says.
        """
        told = [reading.value.ahead for reading in self.hosts.values() if isinstance(reading, Known)]
        return median_low(told) if told else self.view.ahead or 0.0

    @property
    def own_clock_behind(self) -> float:
        """Return by how many seconds this machine's clock is behind: Hetzner's is the judge, else the cluster's are."""
        return self.cluster_ahead if self.view.ahead is None else self.view.ahead

    @property
    def cluster_time(self) -> float:
        """Return the time of this observation as the cluster's clocks say it (UNIX seconds)."""
        return self.observed_at + self.cluster_ahead

    def server(self, name: str) -> Server | None:
        """Find a server by name."""
        return next((s for s in self.view.servers if s.name == name), None)

    def facts(self, server_id: int) -> HostFacts | None:
        """Return what a host told, None when it could not be looked at."""
        reading = self.hosts.get(server_id)
        return reading.value if isinstance(reading, Known) else None

    def kube_of(self, server_id: int) -> KubeView | None:
        """Return what a master's API told, None when it could not be read."""
        reading = self.kube.get(server_id)
        return reading.value if isinstance(reading, Known) else None

    def with_view(self, view: CloudView) -> ClusterState:
        """Return the same observation with another listing."""
        return replace(self, cloud=Known(view))

    def with_snapshot(self, stored: StoredSnapshot) -> ClusterState:
        """Return the same observation with a snapshot that lies in S3 by now, in the place of one of its name."""
        listed = self.snapshots.value if isinstance(self.snapshots, Known) else ()
        others = (s for s in listed if (s.folder, s.name) != (stored.folder, stored.name))
        return replace(self, snapshots=Known((*others, stored)))


def unseen(why: str, at: float) -> ClusterState:
    """Make the state of an observation that could not list anything."""
    return ClusterState(observed_at=at, cloud=Unknown(why, at))
