"""A simulated host's disk: what outlives a reboot, and what a rebuild takes away."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from hetzner_k3s.lab.k3s.etcd.model_data import Data
from hetzner_k3s.lab.k3s.etcd.model_data import Snapshot as Backend
from hetzner_k3s.lab.k3s.etcd.model_peers import Drive
from hetzner_k3s.lab.k3s.setup import flags
from hetzner_k3s.lab.k3s.trust import ca_bundle, tokens
from hetzner_k3s.lab.k3s.trust.bootstrap import File
from hetzner_k3s.lab.simulated.hosts import config_file, snapshot_files
from hetzner_k3s.model.host import DiskFacts, OperationRecord, Snapshot
from hetzner_k3s.model.hosts.host_config import COMPARED
from hetzner_k3s.model.identity import database_digits
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.text import plain_yaml


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """A snapshot file: its entry and what is in it."""

    entry: Snapshot
    backend: Backend

    @property
    def sha256(self) -> str:
        """Return the checksum of the file."""
        return hashlib.sha256(snapshot_files.encode(self.backend)).hexdigest()

    def called(self, name: str) -> SavedSnapshot:
        """Return the same file by another name."""
        return SavedSnapshot(replace(self.entry, name=name), self.backend)


@dataclass(frozen=True, slots=True)
class Fenced:
    """What was moved aside: etcd's data, the files below `server/tls` and `server/cred`, the token."""

    data: Data | None
    server: dict[str, File]
    token: str | None


@dataclass(slots=True, kw_only=True)
class Disk:
    """The files that matter.

    `held` is the mark that keeps k3s down, `restoring` that of half a restore; `lineage` and `reset_done` are a
    lineage with the one before it, as noted before a reset and after it; `log_damaged` tells that nobody can read
    how far the write-ahead log goes, though what is in memory is well, `log_began` when it was begun (the site's
    seconds); `fenced` is what was moved aside. `server` are the authorities and passwords below `server/tls` and
    `server/cred` by their name in the bootstrap data; `host_key` is the label of the key that sshd offers; `units`
    are installed, True where enabled; `agent_environment` is what k3s' own installer put into
    `k3s-agent.service.env`, as 2.x has it.
    """

    machine_id: str
    host_key: str
    initialized: bool = False
    k3s_version: str | None = None
    staged: str | None = None
    units: dict[K3sRole, bool] = field(default_factory=dict)
    config: str | None = None
    registries: str | None = None
    agent_environment: dict[str, str] = field(default_factory=dict)
    unit_arguments: tuple[str, ...] = ()
    """The flags in a unit that k3s' own installer wrote, as 2.x has it: no guard is before it."""
    server_environment: dict[str, str] = field(default_factory=dict)
    """What that installer put into `k3s.service.env`: the bare token."""
    server: dict[str, File] = field(default_factory=dict)
    token: str | None = None
    kubeconfig: str | None = None
    drive: Drive = field(default_factory=Drive)
    log_damaged: bool = False
    log_began: float = 0.0
    failed_commands: list[str] = field(default_factory=list)
    commands_wait: bool = False
    member_name: str | None = None
    tombstone: bool = False
    reset_flag: bool = False
    snapshots: dict[str, SavedSnapshot] = field(default_factory=dict)
    agent_ca: bytes | None = None
    agent_servers: list[str] = field(default_factory=list)
    node_password: str | None = None
    held: bool = False
    lineage: tuple[str, str | None] | None = None
    restoring: bool = False
    agentless: bool = False
    reset_done: tuple[str, str | None] | None = None
    fenced: list[Fenced] = field(default_factory=list)
    fence: int = 0
    operation: OperationRecord | None = None

    @property
    def unit_flag(self) -> str:
        """Return how a master's unit of 2.x starts it: `--cluster-init` or `--server`; empty where it is none."""
        names = [argument.partition("=")[0] for argument in self.unit_arguments]
        return next((flag for flag in ("--cluster-init", "--server") if flag in names), "")

    @property
    def server_ca(self) -> bytes | None:
        """Give `server/tls/server-ca.crt`."""
        file = self.server.get("ServerCA")
        return file.content if file else None

    @property
    def agent_password(self) -> str:
        """Return the password that agents join with, empty where that is the servers' too."""
        file = self.server.get("PasswdFile")
        known = tokens.parse_passwd(file.content.decode()) if file else {}
        agent = known.get("node", ("",))[0]
        return "" if agent == known.get("server", ("",))[0] else agent

    @property
    def agent_token(self) -> str | None:
        """Give `server/agent-token`: a file of its own, or a link to the servers' token (recording second/34)."""
        if self.token is None or self.server_ca is None or not self.agent_password:
            return self.token
        return tokens.full(self.server_ca, self.agent_password, "node")

    @property
    def peer_trust(self) -> str:
        """Return what tells the authority of etcd's peers from another's."""
        file = self.server.get("ETCDPeerCA")
        return file.content.decode() if file else ""

    @property
    def configured_token(self) -> str:
        """Return the token of `config.yaml`, else that of a 2.x agent's environment; empty where there is none."""
        return str(config_file.read(self.config or "").get("token") or self.agent_environment.get("K3S_TOKEN") or "")

    def point_to(self, url: str) -> None:
        """Set the line `server:`, or that of an agent of 2.x, which has no configuration file; an empty one goes."""
        if self.config is None:
            self.agent_environment["K3S_URL"] = url
            return
        kept = [line for line in self.config.splitlines() if not line.startswith("server:")]
        line = [f'server: "{url}"'] if url else []
        self.config = "\n".join([*kept, *line, ""])

    def forget_environment(self) -> None:
        """Take out what the installer of 2.x had put into the units' environment."""
        self.server_environment.clear()
        self.agent_environment.clear()

    def forget_2x(self) -> None:
        """Write our unit over that of 2.x."""
        self.unit_arguments = ()
        self.forget_environment()

    def remove_database(self) -> None:
        """Delete `server/db`; `server/tls` and the token stay."""
        self.drive.data, self.member_name = None, None
        self.tombstone = self.reset_flag = False
        self.snapshots.clear()

    def facts(self) -> DiskFacts:
        """Return what a look at the disk tells."""
        ca = self.server_ca
        document = config_file.read(self.config or "")
        configured, server = self.configured_token, document.get("server") or self.agent_environment.get("K3S_URL")
        return DiskFacts(
            wal=self.drive.data is not None,
            tombstone=self.tombstone,
            reset_flag=self.reset_flag,
            server_ca=tokens.ca_hash(ca) if ca else None,
            former_cas=ca_bundle.earlier(ca) if ca else (),
            agent_ca=tokens.ca_hash(self.agent_ca) if self.agent_ca else None,
            agent_former_cas=ca_bundle.earlier(self.agent_ca) if self.agent_ca else (),
            token_hash=_password_hash(self.token),
            config_token_hash=_password_hash(configured),
            config_token_ca=tokens.parse(configured).ca_hash or None if configured else None,
            passwd_hash=_passwd_hash(self.server.get("PasswdFile")),
            agent_token_hash=_password_hash(self.agent_token) if self.agent_token != self.token else None,
            config_agent_hash=_password_hash(str(document.get("agent-token") or "")),
            config_token_agent=bool(configured) and tokens.parse(configured).user == "node",
            config_server=str(server) if server else None,
            config_database=_database_of(document),
            config_present=self.config is not None,
            config=self._compared(),
            unit_flag=self.unit_flag,
            environment_token_hash=_password_hash(self.server_environment.get("K3S_TOKEN")),
            registries=None if self.registries is None else hashlib.sha256(self.registries.encode()).hexdigest()[:12],
            s3_hash=_s3_hash(document),
            agent_servers=tuple(f"{address}:6443" for address in self.agent_servers),
        )

    def _compared(self) -> dict[str, tuple[str, ...]] | None:
        if self.config is not None:
            return _compared(config_file.read(self.config))
        values = flags.merge("server", {}, {}, self.unit_arguments).values
        return {key: value for key, value in values.items() if key in COMPARED} or None

    def note_operation(self, *, running: bool) -> None:
        """Say whether the last operation still runs."""
        if self.operation is not None:
            self.operation = replace(self.operation, running=running)


def _compared(document: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    return {key: value for key, value in plain_yaml.texts(document).items() if key in COMPARED}


def _s3_hash(document: Mapping[str, object]) -> str | None:
    lines = [f"{name}={_as_written(value)}\n" for name, value in document.items() if name.startswith("etcd-s3")]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()[:12] if lines else None


def _as_written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _passwd_hash(file: File | None) -> str | None:
    password = tokens.parse_passwd(file.content.decode()).get("server", ("",))[0] if file else ""
    return tokens.short_hash(password) if password else None


def _password_hash(token: str | None) -> str | None:
    return tokens.short_hash(tokens.parse(token).password) if token else None


def _database_of(document: Mapping[str, object]) -> str | None:
    endpoint = str(document.get("datastore-endpoint") or "")
    return database_digits(endpoint) if endpoint else None
