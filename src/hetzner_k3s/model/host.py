"""What one look at a host tells (the result of the operation `Probe`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known

STEADY_AFTER: Final = 120.0
"""Seconds for which a restarted k3s must have run: the loops that were seen end and begin again every 14-18 s."""

NOSPACE: Final = "NOSPACE"
CORRUPT: Final = "CORRUPT"
_ALARM: Final = re.compile(r"memberID:(\d+) alarm:([A-Z]+)")


class HostKeyKind(Enum):
    """Which of a server's two host keys answered (docs/architecture.md#host-keys)."""

    BOOT = "boot"
    FINAL = "final"
    NEXT = "next"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFacts:
    """A systemd unit: `active` is systemd's ActiveState, "absent" where the unit is not installed.

    `restarts` counts systemd's own restarts since somebody last started it; `running_for` are the seconds for which its
    present process has run, None where there is none or that was not told.
    """

    active: str = "absent"
    sub: str = ""
    restarts: int = 0
    main_pid: int = 0
    running_for: float | None = None

    @property
    def installed(self) -> bool:
        """Check whether the unit file is there."""
        return self.active != "absent"

    @property
    def runs(self) -> bool:
        """Check whether it runs, or systemd is about to start it."""
        return self.active in {"active", "activating", "reloading"}

    @property
    def unsteady(self) -> bool:
        """Check whether systemd restarted it a short while ago, so that it may be about to end again.

        A k3s that ends at each start is active in between, and the counter alone is no proof: one restart long ago is
        no harm (docs/facts/k3s.md#restored-node).
        """
        if self.restarts == 0 or not self.runs:
            return False
        return self.sub == "auto-restart" or (self.running_for is not None and self.running_for < STEADY_AFTER)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFacts:
    """What k3s left on the disk. Hashes are hexadecimal; None where the file is not there.

    `server_ca` is the CA hash that the cluster's tokens pin, `former_cas` the hashes of the CAs that the bundle here
    continues: a CA that was rotated leaves the one of before in it. `agent_ca` and `agent_former_cas` are the same of
    the bundle that an agent trusts.
    `token_hash` and `config_token_hash` are the first 12 digits of sha256(password) of `server/token` and of
    `config.yaml`, `passwd_hash` those of the password in `server/cred/passwd`; `agent_token_hash` those of
    `server/agent-token`, None where that is no file of its own: the cluster has no agent token. `config_agent_hash` are
    those of the line `agent-token:`. `config_token_ca` is the CA hash that the token of `config.yaml` pins (None: a
    bare password), `config_token_agent` tells that it admits agents only. `config_server` is the `server:` line
    (docs/facts/k3s.md#files), `config_database` tells the external database that it names from others. `agent_servers`
    are the addresses (with ports) of the masters that an agent has learned of. `config` are those keys of `config.yaml`
    that are compared with the file (`host_config.COMPARED`), each with its values, None where they could not be read.
    `unit_flag` is how the unit of a master of 2.x starts it (`--cluster-init`, `--server`; empty: it is not of 2.x),
    `environment_token_hash` those of the token beside that unit; without a `config.yaml`, `config` are its flags.
    `registries` are the first 12 digits of the SHA-256 of `registries.yaml`. `s3_hash` is what the S3 settings of
    `config.yaml` are compared by (`s3_settings.settings_hash`), None where it has none.
    """

    wal: bool = False
    tombstone: bool = False
    reset_flag: bool = False
    server_ca: str | None = None
    former_cas: tuple[str, ...] = ()
    agent_ca: str | None = None
    agent_former_cas: tuple[str, ...] = ()
    token_hash: str | None = None
    config_token_hash: str | None = None
    config_token_ca: str | None = None
    passwd_hash: str | None = None
    agent_token_hash: str | None = None
    config_agent_hash: str | None = None
    config_token_agent: bool = False
    config_server: str | None = None
    config_database: str | None = None
    config_present: bool = False
    unit_flag: str = ""
    environment_token_hash: str | None = None
    config: Mapping[str, tuple[str, ...]] | None = None
    registries: str | None = None
    s3_hash: str | None = None
    agent_servers: tuple[str, ...] = ()

    @property
    def server_by_flags(self) -> bool:
        """Check whether 2.x installed a master here: flags stronger than any file, and no guard before them."""
        return bool(self.unit_flag)

    @property
    def configured(self) -> bool:
        """Check whether an agent here is told what it joins, by `config.yaml` or, as 2.x does, by its environment."""
        return self.config_present or (self.config_server is not None and self.config_token_hash is not None)

    def knows_ca(self, ca: str | None) -> bool:
        """Check whether this is the CA here, or one that was rotated into it; `ca` may be the beginning of a hash."""
        return bool(ca) and any(own.startswith(ca or "") for own in (self.server_ca or "", *self.former_cas))

    def agent_knows_ca(self, ca: str | None) -> bool:
        """Check whether an agent here trusts what a CA signs; `ca` may be the beginning of a hash."""
        return bool(ca) and any(own.startswith(ca or "") for own in (self.agent_ca or "", *self.agent_former_cas))

    def trusts(self, master: DiskFacts) -> bool:
        """Check whether an agent here holds the CA of a master, one that was rotated into it, or one made out of it."""
        return master.knows_ca(self.agent_ca) or self.agent_knows_ca(master.server_ca)

    def shares_ca(self, other: DiskFacts) -> bool:
        """Check whether two masters' CAs are one, or one of them was rotated into the other."""
        return self.knows_ca(other.server_ca) or other.knows_ca(self.server_ca)

    @property
    def empty(self) -> bool:
        """Check whether no cluster ever left anything here."""
        return not (self.wal or self.tombstone or self.reset_flag or self.server_ca or self.agent_ca or self.token_hash)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An etcd member. `id` is decimal text as the gateway prints it; an unstarted member has an empty name."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    learner: bool

    @property
    def node(self) -> str:
        """Return the name of its Node, and so of its server: k3s adds a suffix to it.

        See docs/facts/k3s.md#member-name.
        """
        return self.name.rpartition("-")[0]

    @property
    def address(self) -> str:
        """Return the address of the first peer URL."""
        return self.peer_urls[0].rpartition(":")[0].removeprefix("https://") if self.peer_urls else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdFacts:
    """A local etcd: `members` is the linearizable list, None when it could not be had (no quorum).

    `healthy` is 2381/health (docs/facts/etcd.md#quorum-probe; None: nothing listens); `reason` its words.
    `bootstrap_keys` are the 12-digit token hashes the datastore knows; `uid` is the kube-system UID read from the
    store. `active_peers` are the decimal ids of the members that this one is connected to (metric
    etcd_network_active_peers).
    """

    healthy: bool | None = None
    reason: str = ""
    member_id: str | None = None
    leader: str | None = None
    learner: bool = False
    term: int = 0
    index: int = 0
    revision: int = 0
    errors: tuple[str, ...] = ()
    members: tuple[Member, ...] | None = None
    bootstrap_keys: tuple[str, ...] = ()
    uid: str | None = None
    active_peers: tuple[str, ...] = ()

    @property
    def serving_voter(self) -> bool:
        """Check whether this member is a voter that sees a leader and answers linearizable reads."""
        return bool(self.healthy and self.leader and self.leader != "0" and not self.learner and self.members)

    @property
    def alarms(self) -> frozenset[tuple[str, str]]:
        """Return the alarms that are raised, as (member id, alarm): every member tells of those of all members."""
        return frozenset((found[1], found[2]) for error in self.errors for found in _ALARM.finditer(error))

    @property
    def corrupt(self) -> bool:
        """Check whether this very member's data is known to be corrupt."""
        return (self.member_id or "", CORRUPT) in self.alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisorFacts:
    """What the k3s server that runs on a host answers on its own port.

    See docs/facts/k3s.md#endpoints.

    `token_accepted` tells whether it takes the password of this host's `server/token` (a running server goes on with
    the one it was started with); None: it did not answer that. `critical` are the critical arguments it runs with, as
    far as it told them. `api_answers` tells whether its Kubernetes API serves; where not, `complaint` is k3s' last one.
    `uid` is the kube-system UID read through that API, asked only of a server with an external datastore.
    """

    token_accepted: bool | None = None
    critical: Mapping[str, str] = field(default_factory=dict)
    api_answers: bool = False
    complaint: str = ""
    uid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot file on a host; `created` is UNIX seconds, `size` bytes."""

    name: str
    size: int
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationRecord:
    """The running or the last mutating operation that a host knows of."""

    id: str
    name: str
    running: bool
    fence: int = 0


@dataclass(frozen=True, slots=True, order=True)
class LogPosition:
    """How far an etcd log goes, in the order that elections compare: the last entry's term, then its index.

    A revision is no such order: it counts changes of keys, not entries (docs/facts/etcd.md#further-log).
    """

    term: int
    index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """One look at a host, taken in one SSH round trip; `interfaces` maps its IPv4 addresses to network interfaces.

    `ahead` are the seconds by which its `clock` is for certain ahead of the looker's (negative: behind). `lineage` and
    `parent_lineage` are what a reset or a restore noted on the host; `held` says that its k3s was stopped and must not
    start; only then are `log`, how far its etcd log goes, and `stored_uid`, the kube-system UID in etcd's file, read.
    """

    key: HostKeyKind
    machine_id: str = ""
    hostname: str = ""
    clock: float = 0.0
    ahead: float = 0.0
    boot_finished: bool = False
    interfaces: Mapping[str, str] = field(default_factory=dict)
    k3s_version: str | None = None
    staged: str | None = None
    """The release of k3s that lies ready to be started, its checksum verified."""
    server_unit: UnitFacts = UnitFacts()
    agent_unit: UnitFacts = UnitFacts()
    disk: DiskFacts = DiskFacts()
    etcd: EtcdFacts = EtcdFacts()
    supervisor: SupervisorFacts = SupervisorFacts()
    snapshots: tuple[Snapshot, ...] = ()
    operation: OperationRecord | None = None
    lineage: str | None = None
    parent_lineage: str | None = None
    failed_commands: tuple[str, ...] = ()
    """What of the file's commands and packages failed here, each with its last lines."""
    commands_wait: bool = False
    """Whether the commands that come after k3s have not ended yet."""
    cut_off: str | None = None
    """K3s' last words where its first start was cut off right after etcd's log began: with that it never starts."""
    held: bool = False
    restoring: bool = False
    """Whether what lies here was left by a restore that has not ended."""
    agentless: bool = False
    """Whether k3s is started without its agent here, because the lost masters' Nodes have yet to be deleted."""
    seen_from: str | None = None
    """The address that this host sees us at."""
    log: LogPosition | None = None
    stored_uid: str | None = None

    def addresses_in(self, ip_range: str) -> tuple[str, ...]:
        """Return the host's addresses that lie in a range (CIDR)."""
        network = ip_network(ip_range)
        return tuple(address for address in self.interfaces if _lies_in(address, network))

    @property
    def voter(self) -> bool:
        """Check whether this host's etcd is a voter of the list it serves and sees a leader."""
        etcd = self.etcd
        return etcd.serving_voter and any(m.id == etcd.member_id and not m.learner for m in etcd.members or ())

    @property
    def takes_commands(self) -> bool:
        """Check whether k3s' own commands work here, as far as it is told.

        They use `server/token`, and a running k3s takes the token that it was started with: after `k3s token rotate`
        on this master it takes none before its restart (docs/facts/k3s.md#commands-after-a-rotation).
        """
        return self.supervisor.token_accepted is not False

    def votes_beside(self, other: HostFacts) -> bool:
        """Check whether both are voters of one etcd: they follow one leader and are connected to each other.

        The data of two clusters may be equal to the last id (docs/facts/k3s.md#identity); their members are not
        connected.
        """
        mine, its = self.etcd, other.etcd
        if not (self.voter and other.voter) or mine.leader != its.leader:
            return False
        return mine.member_id in its.active_peers and its.member_id in mine.active_peers

    @property
    def on_database(self) -> bool:
        """Check whether this master keeps its data in an external database: by design it has no etcd, and no member.

        k3s goes on with an etcd whose log is there, whatever its configuration says.
        """
        return self.disk.config_database is not None and not self.disk.wal and self.etcd.healthy is None

    @property
    def uid(self) -> str | None:
        """Return the kube-system UID that its datastore tells: its etcd, or the database through its API."""
        return self.etcd.uid or (self.supervisor.uid if self.on_database else None)

    @property
    def bootstrap_keys(self) -> tuple[str, ...]:
        """Return the hashes of the tokens that its datastore is sealed with.

        A database is not asked: k3s could open what lies there with the token that it runs with, or would have ended.
        """
        if not self.on_database:
            return self.etcd.bootstrap_keys
        held = self.disk.token_hash
        return (held,) if held is not None and self.supervisor.token_accepted else ()

    @property
    def serves(self) -> bool:
        """Check whether this master is well by its own word: a voter, or one whose API reads the external database."""
        return self.voter or (self.on_database and self.supervisor.api_answers and self.supervisor.uid is not None)


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A host that could not be looked at: where it failed, why, and since when (UNIX seconds)."""

    stage: SshStage
    why: str
    since: float = 0.0


HostReading = Known[HostFacts] | Unreachable


def _lies_in(address: str, network: IPv4Network | IPv6Network) -> bool:
    """Check whether what a host calls an address is one, and lies in a network."""
    try:
        return ip_address(address) in network
    except ValueError:
        return False
