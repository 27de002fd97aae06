"""Before etcd starts: decide how, and get the cluster's authorities from disk, from another server, or make them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.api.store import utc_now
from hetzner_k3s.lab.k3s.etcd import bolt
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.node import cluster_client
from hetzner_k3s.lab.k3s.node.cluster_client import SupervisorClient, SupervisorError
from hetzner_k3s.lab.k3s.serving import startup
from hetzner_k3s.lab.k3s.serving.startup import Start
from hetzner_k3s.lab.k3s.setup import critical_config, identity
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.setup.paths import Layout, directory, write
from hetzner_k3s.lab.k3s.trust import bootstrap, pki, tokens
from hetzner_k3s.lab.k3s.trust.tokens import Token

_PREPARING = "Error: preparing server: failed to bootstrap cluster data: "


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a start goes on with; `join` is the server to join through."""

    start: Start
    password: str
    join: SupervisorClient | None = None


def look_at_disk(layout: Layout) -> startup.Disk:
    """Collect the facts that decide how to start."""
    return startup.Disk(layout.wal.is_dir(), layout.tombstone.exists(), layout.reset_flag.exists())


def decide(flags: Flags, layout: Layout) -> Start:
    """Decide how to start and say so.

    Raises:
        Fatal: k3s refuses.
    """
    wish = startup.Wish(flags.text("server"), flags.on("cluster-reset"))
    try:
        start = startup.decide(look_at_disk(layout), wish)
    except startup.Refused as problem:
        raise Fatal(f"Error: {problem}") from problem
    logfmt.info(startup.announcement(start))
    return start


class Preparation:
    """Gets a server's authorities and signs its certificates.

    Args:
        flags, layout, who: configuration, files, identity.
        patience: seconds an initialized server waits for the one its `server:` names.
    """

    def __init__(self, flags: Flags, layout: Layout, who: identity.Identity, patience: float) -> None:
        self._flags, self._layout, self._who, self._patience = flags, layout, who, patience

    async def run(self, start: Start) -> Prepared:
        """Prepare one start.

        Raises:
            Fatal: with the line the recordings show.
        """
        directory(self._layout.root, 0o755)
        directory(self._layout.server)
        token = identity.server_token(self._flags, self._layout)
        join = None
        if start is Start.REJOIN_AFTER_REMOVAL:
            self._layout.etcd.rename(self._layout.db / f"etcd-backup-{int(time.time())}")
        if start in (Start.JOIN, Start.REJOIN_AFTER_REMOVAL):
            join = await self._from_cluster(token)
        elif start is Start.EXISTING_MEMBER:
            await self._existing(token)
        else:
            pki.create_authorities(self._layout, token.password, self._agent_password(token), utc_now())
        self._ensure_passwords(token)
        self._sign()
        return Prepared(start, token.password, join)

    def _agent_password(self, token: Token) -> str:
        return tokens.parse(self._flags.text("agent-token")).password or token.password

    def _ensure_passwords(self, token: Token) -> None:
        """Write the configured passwords where the file holds others, as every start does after it has bootstrapped.

        So a server that lacks the cluster's agent token makes its file newer than the datastore's (second/35).
        """
        wanted = tokens.passwd_file(token.password, self._agent_password(token))
        if tokens.parse_passwd(self._layout.passwd.read_text()) != tokens.parse_passwd(wanted):
            write(self._layout.passwd, wanted)

    def _sign(self) -> None:
        names = [
            *self._flags.many("tls-san"),
            "127.0.0.1",
            "::1",
            "localhost",
            self._who.name,
            *self._who.external,
            *self._who.addresses,
            "10.43.0.1",
            *("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
        ]
        pki.sign_leaves(self._layout, names, self._who.address, utc_now())
        pki.write_component_kubeconfigs(self._layout)

    def description(self) -> Obj:
        """Return this server's answer at `/v1-k3s/config`."""
        psk = self._layout.cred / "ipsec.psk"
        text = psk.read_text().strip() if psk.exists() else ""
        return critical_config.describe(self._flags, self._who.name, self._who.address, text)

    async def _from_cluster(self, token: Token) -> SupervisorClient:
        server = self._flags.text("server").rstrip("/")
        if identity.configured_token(self._flags) is None:
            raise Fatal("Error: --token is required to join a cluster")
        try:
            cacerts = await cluster_client.trusted_cacerts(server, token)
        except SupervisorError as problem:
            text = f"failed to check if bootstrap data has been initialized: failed to validate token: {problem}"
            raise Fatal(_PREPARING + text) from problem
        client = SupervisorClient(server, cacerts, token.password)
        await self._compare_configuration(SupervisorClient(server, cacerts, self._agent_password(token)))
        try:
            bootstrap.install(self._layout, await client.bootstrap_data())
        except SupervisorError as problem:
            raise Fatal(f"{_PREPARING}{problem}") from problem
        logfmt.info("Reconciling bootstrap data between datastore and disk")
        return client

    async def _compare_configuration(self, client: SupervisorClient) -> None:
        try:
            theirs = await client.config()
        except SupervisorError as problem:
            logfmt.warning(f"Skipping cluster configuration validation: {problem}")
            return
        found = critical_config.mismatches(self.description(), theirs)
        for name in found:
            logfmt.warning(f"critical configuration mismatched: {name}")
        if found:
            raise Fatal(f"{_PREPARING}failed to validate server configuration: {critical_config.MISMATCH}")

    async def _existing(self, token: Token) -> None:
        self._touch_passwords(token)
        stored = self._with_newer_here(await self._stored_elsewhere(token), token) or self._stored_here(token)
        if not stored:
            return
        logfmt.info("Reconciling bootstrap data between datastore and disk")
        leftovers = bootstrap.newer_on_disk(bootstrap.read(self._layout), stored)
        if leftovers:
            raise Fatal(bootstrap.newer_message(self._layout, leftovers))
        bootstrap.install(self._layout, stored)

    def _touch_passwords(self, token: Token) -> None:
        # k3s writes the file at every start. That makes an old token's file newer than a rotated datastore, for good:
        # the start fails, and the next one too, whatever its token, until the file is removed
        # (docs/facts/k3s.md#token-rotation).
        if self._layout.passwd.exists():
            known = tokens.parse_passwd(self._layout.passwd.read_text())
            if known.get("server", ("", ""))[0] == token.password:
                self._layout.passwd.touch()

    async def _stored_elsewhere(self, token: Token) -> dict[str, bootstrap.File] | None:
        server = self._flags.text("server").rstrip("/")
        if not server or not (self._layout.tls / "server-ca.crt").exists():
            return None
        client = SupervisorClient(server, (self._layout.tls / "server-ca.crt").read_bytes(), token.password)
        try:
            return await client.bootstrap_data(self._patience)
        except SupervisorError as problem:
            logfmt.warning(f"Unable to reconcile with remote datastore: {problem}")
            return None

    def _with_newer_here(
        self, elsewhere: dict[str, bootstrap.File] | None, token: Token
    ) -> dict[str, bootstrap.File] | None:
        """Take what was changed in the datastore and not yet on the disk of the master that answered (second/12)."""
        try:
            return bootstrap.newest(elsewhere, self._stored_here(token)) if elsewhere else None
        except Fatal:
            return elsewhere

    def _stored_here(self, token: Token) -> dict[str, bootstrap.File]:
        """Read what the datastore itself holds; a first start that died before it was there never starts again."""
        backend = self._layout.backend
        try:
            if not backend.exists() or not bolt.has_consistent_index(backend):
                raise bootstrap.BootstrapError(bootstrap.NO_INDEX)
            return bootstrap.from_store(bolt.keys(backend, "/bootstrap/"), token.password)
        except bolt.NotBolt as problem:
            raise Fatal(f"{_PREPARING}failed to reconcile with local datastore: {bootstrap.NO_INDEX}") from problem
        except bootstrap.BootstrapError as problem:
            raise Fatal(f"{_PREPARING}failed to reconcile with local datastore: {problem}") from problem
