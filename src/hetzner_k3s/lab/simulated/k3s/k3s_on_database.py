"""`k3s server` with an external datastore: no etcd of its own, no members; masters find one another in the database.

From k3s' source (docs/facts/k3s.md#different-token), not recorded on a real one: a start opens the bootstrap data in
the database with its token and ends where that is another's; who finds none makes a new cluster, no question asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.nodes import PasswordFinalizer
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, EtcdUnavailable
from hetzner_k3s.lab.k3s.logfmt import Fatal, ShutdownRequested
from hetzner_k3s.lab.k3s.serving.startup import Start
from hetzner_k3s.lab.k3s.setup import critical_config
from hetzner_k3s.lab.k3s.trust import bootstrap, tokens
from hetzner_k3s.lab.k3s.trust.tokens import Token
from hetzner_k3s.lab.simulated.databases import Database
from hetzner_k3s.lab.simulated.k3s import k3s_files
from hetzner_k3s.lab.simulated.k3s.k3s_server import K3sServer
from hetzner_k3s.lab.simulated.k3s.kubelet import Kubelet
from hetzner_k3s.lab.simulated.k3s.leadership import lead
from hetzner_k3s.lab.simulated.k3s.node_control import CloudControllers
from hetzner_k3s.lab.simulated.k3s.supervisor import SupervisorClient
from hetzner_k3s.lab.simulated.site import Birth

_REFUSED = "Error: preparing server: creating storage endpoint: building kine: dial tcp {}: connect: connection refused"
_PREPARING = "Error: preparing server: failed to bootstrap cluster data: "
_PATIENCE = 15.0
"""Seconds without the database after which leases are lost, and k3s ends."""
_LOOK_EVERY = 5.0


class K3sOnDatabase(K3sServer):
    """One run of `k3s server` whose configuration names a database."""

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until it ends by itself.

        Raises:
            Fatal, ShutdownRequested: with k3s' own words.
        """
        token = self._token()
        self.description = critical_config.describe(self._flags, self.name, self.address)
        await self._take_or_make(token)
        k3s_files.ensure_passwords(self.disk, token.password, self._agent_password(), self.site.clock.now())
        self._spawn(self._begin(Start.EXISTING_MEMBER, token.password, None, ready))
        await self._end

    @property
    def _place(self) -> str:
        return self._flags.text("datastore-endpoint").rpartition("@")[2]

    @property
    def _database(self) -> Database:
        return self.site.database(self._flags.text("datastore-endpoint"))

    def member(self) -> ModelEtcd:
        """Return the store.

        Raises:
            EtcdUnavailable: the database does not answer.
        """
        return self._database.kv()

    async def _take_or_make(self, token: Token) -> None:
        """Take the authorities that lie in the database; make them where none do, which is a birth."""
        try:
            store = await self._database.connect()
            entries = {entry.key: entry.value for entry in (await store.list(k3s_files.PREFIX)).entries}
        except EtcdError as problem:
            await asyncio.sleep(1)
            raise Fatal(_REFUSED.format(self._place)) from problem
        now = self.site.clock.now()
        if not entries:
            k3s_files.create_authorities(self.disk, self.host.chance, token.password, self._agent_password(), now)
            return
        try:
            stored = k3s_files.unseal(entries, token.password)
        except bootstrap.BootstrapError as problem:
            raise Fatal(f"{_PREPARING}{problem}") from problem
        leftovers = bootstrap.newer_on_disk(self.disk.server, stored)
        if leftovers:
            raise Fatal(f"{', '.join(leftovers)} newer than datastore and could cause a cluster outage. ")
        k3s_files.install(self.disk, stored, now)

    async def _start_etcd(self, _start: Start, _client: SupervisorClient | None) -> ModelEtcd:
        """Return the database in etcd's place."""
        self._spawn(self._watch_database())
        try:
            return self.member()
        except EtcdUnavailable as problem:
            raise Fatal(_REFUSED.format(self._place)) from problem

    async def _watch_database(self) -> None:
        since: float | None = None
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            since = (since or self.site.now()) if self._database.down else None
            if since is not None and self.site.now() - since >= _PATIENCE:
                raise Fatal("leaderelection lost for k3s")

    async def _save_bootstrap(self, etcd: ModelEtcd, password: str) -> None:
        """Write what was made; of two that made some at the same time one has to begin anew."""
        key = tokens.storage_key(password)
        present = {entry.key for entry in (await etcd.list(k3s_files.PREFIX)).entries}
        if key in present:
            return
        if present or await etcd.put(key, k3s_files.seal(self.disk.server, password), 0) is None:
            raise ShutdownRequested(f"failed to save bootstrap data: {bootstrap.OTHER_TOKEN}")
        ca = tokens.ca_hash(self.disk.server_ca or b"")
        self.site.births.append(Birth(self.site.clock.now(), self.host.name, ca))

    def _control(self, store: Store, etcd: ModelEtcd) -> None:
        self._spawn(lead(self, etcd, "k3s", self.timing.etcd_lease, (PasswordFinalizer(store, self.log).run,)))
        clouds = CloudControllers(self, store, built_in=not self._flags.on("disable-cloud-controller"))
        self._spawn(lead(self, etcd, "kube-controller-manager", self.timing.controller_lease, (clouds.run,)))

    async def _run_node(self, store: Store, _etcd: ModelEtcd) -> None:
        self.disk.agent_ca = self.disk.server_ca
        kubelet = Kubelet(self.host, self._flags, "server", lambda: store if self.api_ready else None)
        await kubelet.register()
        await kubelet.keep_alive()
