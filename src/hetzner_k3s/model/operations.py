"""Host operations: frozen arguments, typed results. One static script in `hosts/scripts` serves each.

See docs/architecture.md#host-operations.

`mutating` operations run on the host as the one transient unit `hetzner-k3s-op.service`, outlive a cut connection and
carry the operator lock's id as `fence`: a host refuses one lower than the greatest it has seen.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Generic, TypeVar

from hetzner_k3s.model.host import HostFacts, LogPosition, Member, Snapshot
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import SnapshotFile

R_co = TypeVar("R_co", covariant=True)


class K3sRole(Enum):
    """Which of the two units a host runs."""

    SERVER = "server"
    AGENT = "agent"


class SecretKind(Enum):
    """What can be read off a verified host.

    TOKEN and AGENT_TOKEN are the full K10 tokens that a master wrote: the servers' own, and the one that agents join
    with, which is the same where the cluster has no agent token. CONFIG_TOKEN and CONFIG_AGENT_TOKEN are what a
    `config.yaml` holds (a bare password where a birth was cut off before k3s wrote the full one).
    """

    TOKEN = "token"
    AGENT_TOKEN = "agent-token"
    CONFIG_TOKEN = "config-token"
    CONFIG_AGENT_TOKEN = "config-agent-token"
    KUBECONFIG = "kubeconfig"


class Milestone(Enum):
    """How far a starting k3s has come."""

    DATASTORE = "datastore"
    """Token file written and etcd healthy: further masters may start."""
    IDENTITY = "identity"
    """The kube-system namespace exists, so its UID can be read."""
    ACTIVE = "active"
    """systemd calls the unit active."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[R_co]):
    """An operation whose result is an `R_co`."""

    mutating: ClassVar[bool] = False
    boot_key_suffices: ClassVar[bool] = False
    """Whether a host that answers with its boot key may be asked: that key's private half is in user data."""
    unverified: ClassVar[bool] = False
    """Whether a host without a known key may be asked: nothing secret is sent, and its answer proves nothing."""


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that has nothing to tell but that it is done."""


@dataclass(frozen=True, slots=True)
class Probe(Operation[HostFacts]):
    """Look at a host: one round trip, one JSON document."""

    boot_key_suffices: ClassVar[bool] = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RotateHostKey(Operation[Done]):
    """Install another SSH host key (OpenSSH private key text) and have sshd use it for new connections."""

    mutating: ClassVar[bool] = True
    boot_key_suffices: ClassVar[bool] = True
    private_key: Secret
    public_key: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Install(Operation[Done]):
    """Put the k3s binary of `version` (checksum verified), the unit, its start guard and `registries.yaml` in place.

    Idempotent; waits for the download that cloud-init started. Nothing is started. `registries` is the text of
    registries.yaml, which may hold passwords; None leaves the file as it is.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    version: str
    registries: str | None = field(repr=False)
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConfig(Operation[Done]):
    """Write `/etc/rancher/k3s/config.yaml` (0600, atomically). Nothing is started or restarted."""

    mutating: ClassVar[bool] = True
    config: Secret
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PointToServer(Operation[Done]):
    """Set the `server:` line of an existing `config.yaml`, and leave every other line alone. Nothing is restarted."""

    mutating: ClassVar[bool] = True
    url: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetToken(Operation[Done]):
    """Set the `token:` line of an existing `config.yaml` (0600), and leave every other line alone.

    Nothing is restarted. With `revive` the k3s of a master that cannot start for want of that token loses its stale
    password file and is started; one that runs is left alone (precondition_changed).
    """

    mutating: ClassVar[bool] = True
    token: Secret
    revive: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCaPin(Operation[Done]):
    """Let the token in a worker's configuration pin the CA that followed `before`; its password stays.

    With `restart` an agent that waits for want of it is started anew; an active one is not (precondition_changed).
    """

    mutating: ClassVar[bool] = True
    before: str
    ca: str
    restart: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartK3s(Operation[Done]):
    """Enable and start the unit without waiting for it; a unit that runs is left alone.

    `birth` lays the one-time permit `/run/hetzner-k3s/birth` first. Refused on a host that holds data when `birth`.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    birth: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitK3s(Operation[HostFacts]):
    """Wait on the host until a milestone is reached (seconds), then look; a known fatal log line ends the wait."""

    role: K3sRole
    milestone: Milestone
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersPrecondition:
    """The member list of a decision; the script reads it again in the same call (docs/architecture.md#law-6)."""

    ids: tuple[str, ...]
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember(Operation[Done]):
    """Remove a dead etcd member through the local gateway; already gone is success.

    Answers `precondition_changed` when the list, the leader, a learner or the kube-system UID is not as decided on.
    """

    mutating: ClassVar[bool] = True
    member_id: str
    precondition: MembersPrecondition
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireMember(Operation[Done]):
    """Remove a living etcd member through the gateway of another one; already gone is success.

    Answers `precondition_changed` when the list or the kube-system UID is not as decided on, a learner is in it, the
    member leads or is this host's own, or any voter that would be left is not connected: they are all that is left.
    """

    mutating: ClassVar[bool] = True
    member_id: str
    precondition: MembersPrecondition
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeJoiner(Operation[Done]):
    """Stop the k3s of a former member and put `server/` aside; its snapshots stay where they are.

    Answers `precondition_changed` when its etcd serves, or when the cluster that answers at `server_url` to this host's
    own token lists a member of this host's name or at `address`.
    """

    mutating: ClassVar[bool] = True
    server_url: str
    address: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLeader(Operation[Done]):
    """Hand leadership over to the voter `heir` (a member id) if this host's member leads; if it does not, all is well.

    Answers `precondition_changed` when the heir is no voter, or not connected.
    """

    mutating: ClassVar[bool] = True
    heir: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopK3s(Operation[Done]):
    """Stop and disable k3s: as a server where its etcd was removed, as an agent where its Node was deleted.

    A removed server that is started anew joins again by itself; an agent registers its Node only when it starts.
    Answers `precondition_changed` where a server's etcd still follows a leader.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteLearner(Operation[Done]):
    """Promote the learner with this peer address, every 50 ms until it is in sync or is a voter; `deadline` in seconds.

    Run on a healthy voter (docs/facts/k3s.md#promotion).
    """

    peer_address: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSnapshot(Operation[Snapshot]):
    """Have k3s save a snapshot under `name` and check that it is there and not empty."""

    mutating: ClassVar[bool] = True
    name: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSecret(Operation[Secret]):
    """Read a secret of a host; `OperationFailed` where there is none."""

    kind: SecretKind


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMembers(Operation[tuple[Member, ...]]):
    """Read the linearizable member list through the local gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJournal(Operation[str]):
    """Read the last log lines of k3s."""

    role: K3sRole
    lines: int


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
class RestartBirth(Operation[Done]):
    """Begin a birth anew whose first start was cut off right after etcd had begun its log, with the CA that there is.

    `server/db` goes to `server/db-cut-off-<unix>` whole; nothing is deleted. Answers `precondition_changed` where k3s
    runs, did not end with those very words, is to join somebody, or snapshots tell that a cluster has lived here.
    """

    mutating: ClassVar[bool] = True
    fence: int


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSnapshot(Operation[Done]):
    """Make a host without data the only member of the cluster that a snapshot holds; nothing is started.

    `config.yaml` must be there, with the token and, for S3, the keys to it; `snapshot` is a name in its folder, or,
    with a `sha256`, a file among the host's own snapshots of that checksum (`precondition_changed` where it is not).
    Snapshots stay, and what else lies in `server/` goes to `server-replaced-<unix>`. The mark `restoring` lies on the
    host meanwhile: what a cut-off restore left is removed before it is tried again. The lineage file is written last
    (docs/facts/k3s.md#reset: exit code and success line alone prove nothing).
    """

    mutating: ClassVar[bool] = True
    snapshot: str
    sha256: str | None
    lineage: str
    parent: str | None
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWithoutAgent(Operation[Done]):
    """Start k3s on a restored host without a kubelet: beside the Node of a lost server it would end again and again.

    It stays so, whoever starts it, until StartWithAgent or WriteConfig. `precondition_changed` where no restored data
    lies or k3s runs with its agent (docs/facts/k3s.md#restored-node).
    """

    mutating: ClassVar[bool] = True
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWithAgent(Operation[Done]):
    """Start a k3s that runs without its agent anew, with it, and enable its unit; one that has it is left alone."""

    mutating: ClassVar[bool] = True
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSnapshots(Operation[tuple[SnapshotFile, ...]]):
    """Read whose the snapshot files of a host are, the newest first, for at most `deadline` seconds."""

    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveSnapshot(Operation[Done]):
    """Lay a snapshot file beside those of a host without data; sent through `Hosts.send`, never through `perform`.

    It appears under `name` only when it is whole: `size` in bytes and `sha256` are checked there. Sent again it is
    left as it is; another file of that name is put aside.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectAgent(Operation[Done]):
    """Write the master at `url` into an agent's configuration and start it anew; its pods go on.

    `known` are the addresses with port of the masters that it must know: one may have been learned of meanwhile. It is
    one operation, since an agent that was not started anew knows its masters of before.
    """

    mutating: ClassVar[bool] = True
    url: str
    known: tuple[str, ...]
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSnapshot(Operation[Done]):
    """Send a snapshot file of a master as it is; read through `Hosts.stream`, never through `perform`."""

    name: str
