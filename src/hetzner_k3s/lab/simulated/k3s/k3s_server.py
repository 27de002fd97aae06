"""`k3s server` on virtual time: its decisions are those of `lab.k3s`, its waits those of a profile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hetzner_k3s.lab.k3s.api.resources import NAMESPACES, NODES
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.namespaces import SYSTEM
from hetzner_k3s.lab.k3s.control.nodes import MemberFinalizer, PasswordFinalizer, announce_member
from hetzner_k3s.lab.k3s.etcd import membership
from hetzner_k3s.lab.k3s.etcd.model import ModelEtcd
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, EtcdUnavailable, Launch
from hetzner_k3s.lab.k3s.logfmt import Fatal, ShutdownRequested
from hetzner_k3s.lab.k3s.node import network_policy
from hetzner_k3s.lab.k3s.serving import startup
from hetzner_k3s.lab.k3s.serving.startup import Start
from hetzner_k3s.lab.k3s.setup import component_args, critical_config
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.trust import bootstrap, tokens
from hetzner_k3s.lab.k3s.trust.tokens import Token
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.k3s import api_server, k3s_files, saving
from hetzner_k3s.lab.simulated.k3s.kubelet import Kubelet
from hetzner_k3s.lab.simulated.k3s.leadership import lead
from hetzner_k3s.lab.simulated.k3s.learners import LearnerTicks
from hetzner_k3s.lab.simulated.k3s.node_control import CloudControllers
from hetzner_k3s.lab.simulated.k3s.supervisor import SupervisorClient, SupervisorError, dial, trusted_cacerts
from hetzner_k3s.lab.simulated.site import Birth
from hetzner_k3s.model.operations.operation import K3sRole

T = TypeVar("T")

_PREPARING = "Error: preparing server: failed to bootstrap cluster data: "
_MASTER_LEASES = "/registry/masterleases/"
_LEASE_SECONDS = 15
_RENEW_EVERY = 10.0
_FIRST_TEST = 0.35
_SAVED_AFTER = 0.5
"""Seconds after its etcd runs in which a first server has not saved its bootstrap data yet (fixture second/19)."""
REMOVED = "this node has been removed from the cluster please restart k3s to rejoin the cluster"


class K3sServer:
    """One run of `k3s server`.

    Args:
        host: where.
        flags: its configuration.
    """

    def __init__(self, host: Host, flags: Flags) -> None:
        self.host, self.site, self.disk, self._flags = host, host.site, host.disk, flags
        self.name = flags.text("node-name") or host.name
        self.address = next(iter(flags.many("node-ip")), host.addresses[0])
        self.timing, self._began = self.site.timing, self.site.now()
        self.listening = self.serving = self.api_ready = self.removed = False
        self.storage_at = 0.0
        self.passwords: dict[str, tuple[str, str]] = {}
        self.description: dict[str, Any] = {}
        self.etcd: ModelEtcd | None = None
        self.store: Store | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    # --- its life

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until it ends by itself.

        Raises:
            Fatal, ShutdownRequested: with k3s' own words.
        """
        start = self._decide()
        token = self._token()
        client = await self._prepare(start, token)
        k3s_files.ensure_passwords(self.disk, token.password, self._agent_password(), self.site.clock.now())
        self._spawn(self._begin(start, token.password, client, ready))
        await self._end

    def close(self) -> None:
        """End whatever runs."""
        self.listening = self.serving = self.api_ready = False
        for task in self._tasks:
            task.cancel()
        if self.etcd is not None:
            self.etcd.end(removed=False)

    def exit(self, why: str) -> None:
        """End it as if by itself; systemd starts it again."""
        self._end.set_exception(ShutdownRequested(why))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.host.spawn(work)
        self._tasks.append(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        problem = None if task.cancelled() else task.exception()
        if problem is not None and not self._end.done():
            self._end.set_exception(problem)

    async def _or_fatal(self, what: str, work: Coroutine[Any, Any, T]) -> T:
        """Do something with the datastore that k3s does not survive the failure of."""
        try:
            return await work
        except (EtcdError, ApiError) as problem:
            raise Fatal(f"{what}: {problem.message}") from problem

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, self._began + moment * self.host.ssh.slow - self.site.now()))

    def log(self, text: str, level: str = "info") -> None:
        """Write a line to the journal."""
        self.host.log(K3sRole.SERVER, f"level={level} msg={text!r}")

    def member(self) -> ModelEtcd:
        """Return its etcd.

        Raises:
            EtcdUnavailable: it has none yet.
        """
        if self.etcd is None or self.removed:
            raise EtcdUnavailable("context deadline exceeded")
        return self.etcd

    # --- before etcd

    def _decide(self) -> Start:
        disk = startup.Disk(self.disk.drive.data is not None, self.disk.tombstone, self.disk.reset_flag)
        try:
            start = startup.decide(disk, startup.Wish(self._flags.text("server"), self._flags.on("cluster-reset")))
        except startup.Refused as problem:
            raise Fatal(f"Error: {problem}") from problem
        self.log(startup.announcement(start))
        return start

    def _token(self) -> Token:
        configured = self._flags.text("token")
        if configured:
            return tokens.parse(configured)
        if self.disk.token:
            return Token(tokens.parse(self.disk.token).password)
        return Token(self.host.chance.token_hex(16))

    def _agent_password(self) -> str:
        return tokens.parse(self._flags.text("agent-token")).password

    async def _prepare(self, start: Start, token: Token) -> SupervisorClient | None:
        self.description = critical_config.describe(self._flags, self.name, self.address)
        now = self.site.clock.now()
        if start is Start.REJOIN_AFTER_REMOVAL:
            self.disk.remove_database()
        if start in (Start.JOIN, Start.REJOIN_AFTER_REMOVAL):
            return await self._from_cluster(token)
        if start is Start.EXISTING_MEMBER:
            await self._existing(token)
        else:
            k3s_files.create_authorities(self.disk, self.host.chance, token.password, self._agent_password(), now)
        return None

    def _client(self, password: str) -> SupervisorClient:
        return SupervisorClient(self.site, self.host, self._flags.text("server").rstrip("/"), password)

    async def _from_cluster(self, token: Token) -> SupervisorClient:
        client = self._client(token.password)
        try:
            trusted_cacerts(await dial(self.site, self.host, client.url, 10), token)
        except SupervisorError as problem:
            text = f"failed to check if bootstrap data has been initialized: failed to validate token: {problem}"
            raise Fatal(_PREPARING + text) from problem
        await self._compare_configuration(client)
        try:
            k3s_files.install(self.disk, await client.bootstrap_data(15), self.site.clock.now())
        except SupervisorError as problem:
            raise Fatal(f"{_PREPARING}{problem}") from problem
        return client

    async def _compare_configuration(self, client: SupervisorClient) -> None:
        try:
            mine = SupervisorClient(self.site, self.host, client.url, self._agent_password() or client.password)
            found = critical_config.mismatches(self.description, await mine.config())
        except SupervisorError as problem:
            self.log(f"Skipping cluster configuration validation: {problem}", "warning")
            return
        for name in found:
            self.log(f"critical configuration mismatched: {name}", "warning")
        if found:
            raise Fatal(f"{_PREPARING}failed to validate server configuration: {critical_config.MISMATCH}")

    async def _existing(self, token: Token) -> None:
        k3s_files.touch_passwd(self.disk, token.password, self.site.clock.now())
        stored = self._with_newer_here(await self._stored_elsewhere(token), token) or self._stored_here(token)
        leftovers = bootstrap.newer_on_disk(self.disk.server, stored)
        if leftovers:
            raise Fatal(
                f"{', '.join(leftovers)} newer than datastore and could cause a cluster outage. "
                "Remove the file(s) from disk and restart to be recreated from datastore."
            )
        k3s_files.install(self.disk, stored, self.site.clock.now())

    async def _stored_elsewhere(self, token: Token) -> dict[str, bootstrap.File]:
        client = self._client(token.password)
        if not client.url or self.disk.server_ca is None:
            return {}
        try:
            return await client.bootstrap_data(self.timing.bootstrap_patience, self.disk.server_ca)
        except SupervisorError as problem:
            self.log(f"Unable to reconcile with remote datastore: {problem}", "warning")
            return {}

    def _with_newer_here(self, elsewhere: dict[str, bootstrap.File], token: Token) -> dict[str, bootstrap.File]:
        """Take what was changed in the datastore and not yet on the disk of the master that answered (second/12)."""
        try:
            return bootstrap.newest(elsewhere, self._stored_here(token)) if elsewhere else {}
        except Fatal:
            return elsewhere

    def _stored_here(self, token: Token) -> dict[str, bootstrap.File]:
        data = self.disk.drive.data
        entries = {k: e.value for k, e in (data.keys.items() if data else ()) if k.startswith(k3s_files.PREFIX)}
        try:
            if data is not None and not data.committed:
                raise bootstrap.BootstrapError(bootstrap.NO_INDEX)
            return k3s_files.unseal(entries, token.password)
        except bootstrap.BootstrapError as problem:
            raise Fatal(f"{_PREPARING}failed to reconcile with local datastore: {problem}") from problem

    # --- from etcd on

    async def _begin(
        self, start: Start, password: str, client: SupervisorClient | None, ready: Callable[[], None]
    ) -> None:
        await self._until(self.timing.listen)
        self.passwords, self.listening = k3s_files.passwords(self.disk), True
        await self._until(self.timing.serve)
        self.serving = True
        await self._until(self.timing.token)
        k3s_files.write_access(self.disk, password, self.host.chance)
        etcd = await self._start_etcd(start, client)
        self.store = Store(etcd, self.site.utc_now, self.host.chance.uuid, lambda: self.host.chance.token_hex(3)[:5])
        self.host.tell_changed()
        first = _SAVED_AFTER if start is Start.NEW_CLUSTER else 0.0
        await asyncio.sleep(first)
        await self._or_fatal("failed to save bootstrap data", self._save_bootstrap(etcd, password))
        await asyncio.sleep(self.timing.apiserver * self.host.ssh.slow - first)
        await self._or_fatal("apiserver exited", self._start_api(self.store, etcd))
        await asyncio.sleep(self.timing.announce)
        ready()
        self.host.permit = False
        self.disk.reset_flag = False
        self.host.tell_changed()
        self._control(self.store, etcd)
        if self._flags.on("etcd-s3"):
            self._spawn(saving.keep_saving(self, self._flags))
        self._spawn(component_args.end_on_conflict(self._flags))
        await asyncio.sleep(self.timing.node)
        self._spawn(self._run_node(self.store, etcd))

    async def _start_etcd(self, start: Start, client: SupervisorClient | None) -> ModelEtcd:
        launch = await self._launch(start, client)
        self.etcd = etcd = ModelEtcd(self.site.peers, self.address, self.disk.peer_trust, self.disk.drive)
        self.disk.member_name = launch.name
        self.disk.log_began = self.site.now() if self.disk.drive.data is None else self.disk.log_began
        await self._or_fatal("etcd exited", etcd.start(launch))
        self.host.tell_changed()
        self._spawn(self._follow_etcd(etcd))
        self._spawn(LearnerTicks(self).run())
        await self._wait_for_voter(etcd, joining=launch.existing)
        return etcd

    async def _launch(self, start: Start, client: SupervisorClient | None) -> Launch:
        if start is Start.NEW_CLUSTER:
            self.log("Starting etcd for new cluster, cluster-reset=false")
            ca = tokens.ca_hash(self.disk.server_ca or b"")
            self.site.births.append(Birth(self.site.clock.now(), self.host.name, ca))
            return Launch(self._new_member_name())
        name = self.disk.member_name or self._new_member_name()
        if client is None:
            self.log("Starting etcd for existing cluster member")
            return Launch(name)
        self.disk.member_name = name
        return await self._join(client, name)

    def _new_member_name(self) -> str:
        return f"{self.name}-{self.host.chance.token_hex(4)}"

    async def _join(self, client: SupervisorClient, name: str) -> Launch:
        """Get into the member list, for ever retrying what passes by itself."""
        while True:
            try:
                members = await client.members()
                if membership.plan_join(members, name, self.address) is membership.Join.ADD:
                    members = await client.add_learner(f"https://{self.address}:2380")
                return Launch(name, membership.peers_with(members, name, self.address), existing=True)
            except membership.DuplicateName as problem:
                self.disk.member_name = None
                raise ShutdownRequested(str(problem)) from problem
            except EtcdError as problem:
                if not membership.is_retried(problem.message):
                    raise ShutdownRequested(f"etcd cluster join failed: {problem.message}") from problem
                self.log(f"Waiting for other members to finish joining etcd cluster: {problem.message}")
            await asyncio.sleep(1)

    async def _wait_for_voter(self, etcd: ModelEtcd, *, joining: bool) -> None:
        if joining and self.timing.connection_stall:
            await asyncio.sleep(_FIRST_TEST)
            if membership.connection_stalls(len(etcd.data.voters), etcd.data.me.learner):
                await asyncio.sleep(self.timing.connection_stall)
        while not etcd.ended.done():
            if etcd.healthy and not etcd.data.me.learner:
                return
            await self.site.peers.changed()
        await asyncio.get_running_loop().create_future()  # removed: `activating` for ever (docs/facts/k3s.md#lineage)

    async def _follow_etcd(self, etcd: ModelEtcd) -> None:
        """Wait for etcd's own end: a member that learns it was removed stops for good."""
        if not await asyncio.shield(etcd.ended):
            return
        self.removed = True
        if self.api_ready:
            self.disk.tombstone = True
        self.api_ready = False
        self.log(REMOVED)

    async def _save_bootstrap(self, etcd: ModelEtcd, password: str) -> None:
        key = tokens.storage_key(password)
        present = {entry.key for entry in (await etcd.list(k3s_files.PREFIX)).entries}
        if key not in present and present:
            raise ShutdownRequested(f"failed to save bootstrap data: {bootstrap.OTHER_TOKEN}")
        if key not in present:
            await etcd.put(key, k3s_files.seal(self.disk.server, password), 0)

    async def _start_api(self, store: Store, etcd: ModelEtcd) -> None:
        for name in SYSTEM:
            if await store.find(NAMESPACES, name) is None:
                await store.create(NAMESPACES, {"metadata": {"name": name}})
        lease = await self._announce(etcd)
        self.api_ready, self.storage_at = True, self.site.now() + self.timing.storage
        self.host.tell_changed()
        self._spawn(self._keep_listed(etcd, lease))
        self._spawn(api_server.define(store, self.log))

    async def _announce(self, etcd: ModelEtcd) -> int:
        """List this API server for agents' load balancers, by a lease of 15 s."""
        lease = await etcd.grant(_LEASE_SECONDS)
        key = _MASTER_LEASES + self.address
        found = await etcd.get(key)
        await etcd.put(key, b"{}", found.entries[0].mod_revision if found.entries else 0, lease)
        return lease

    async def _keep_listed(self, etcd: ModelEtcd, lease: int) -> None:
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            try:
                if not await etcd.keep_alive(lease):
                    lease = await self._announce(etcd)
            except EtcdError as problem:
                self.log(f"Unable to update endpoints: {problem.message}", "error")

    def _control(self, store: Store, etcd: ModelEtcd) -> None:
        """Run for the two leases whose loss ends a server: k3s' own, and the controller manager's."""
        finalizers = (MemberFinalizer(store, etcd, self.log).run, PasswordFinalizer(store, self.log).run)
        self._spawn(lead(self, etcd, "k3s-etcd", self.timing.etcd_lease, finalizers))
        clouds = CloudControllers(self, store, built_in=not self._flags.on("disable-cloud-controller"))
        self._spawn(lead(self, etcd, "kube-controller-manager", self.timing.controller_lease, (clouds.run,)))

    async def _run_node(self, store: Store, etcd: ModelEtcd) -> None:
        if self._flags.on("disable-agent"):
            await self._claim_old_node(store, etcd)
            return
        self.disk.agent_ca = self.disk.server_ca  # byte for byte, as every agent keeps it (second/10)
        kubelet = Kubelet(self.host, self._flags, "server", lambda: store if self.api_ready else None)
        await kubelet.register(etcd_name=etcd.data.me.name)
        if network_policy.is_enforced(self._flags):
            self._spawn(self._enforce_network_policy(store))
        await kubelet.keep_alive()

    async def _claim_old_node(self, store: Store, etcd: ModelEtcd) -> None:
        """Write the member's name onto a Node that is there under this name, though no kubelet runs (second/02)."""
        try:
            await announce_member(store, self.name, etcd.data.me.name, self.address)
        except (ApiError, EtcdError) as problem:
            self.log(f"Waiting for node {self.name}: {problem}")

    async def _enforce_network_policy(self, store: Store) -> None:
        """End k3s where no interface of this host has the Node's address (fixture second/01)."""
        await asyncio.sleep(self.timing.network)
        await network_policy.enforce(
            lambda: store.find(NODES, self.name), self.name, self.log, lambda: self.host.addresses
        )


async def api_servers(etcd: ModelEtcd) -> list[str]:
    """List the addresses whose API server answers."""
    found = await etcd.list(_MASTER_LEASES)
    return [entry.key.removeprefix(_MASTER_LEASES) for entry in found.entries]
