"""`k3s server`: one control-plane node from start to end."""

from __future__ import annotations

import asyncio
import signal
import time
import uuid
from collections.abc import Awaitable, Callable

from hetzner_k3s.lab.k3s import logfmt, notify
from hetzner_k3s.lab.k3s.api.http import ApiFace
from hetzner_k3s.lab.k3s.api.resources import EVENTS, NODES, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import timestamp
from hetzner_k3s.lab.k3s.control.cloud import CloudController
from hetzner_k3s.lab.k3s.control.election import Election
from hetzner_k3s.lab.k3s.control.helm import HelmController
from hetzner_k3s.lab.k3s.control.learners import LearnerTicks
from hetzner_k3s.lab.k3s.control.namespaces import NamespaceController
from hetzner_k3s.lab.k3s.control.nodes import MemberFinalizer, PasswordFinalizer, SilenceWatch, announce_member
from hetzner_k3s.lab.k3s.etcd.patience import until_answered
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, Launch
from hetzner_k3s.lab.k3s.etcd.real import RealEtcd, Settings
from hetzner_k3s.lab.k3s.etcd.removed import RemovedMember
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.node import kubelet, network_policy
from hetzner_k3s.lab.k3s.serving import first_objects, joining, preparation
from hetzner_k3s.lab.k3s.serving.listener import Listener
from hetzner_k3s.lab.k3s.serving.preparation import Preparation, Prepared
from hetzner_k3s.lab.k3s.serving.startup import Start
from hetzner_k3s.lab.k3s.serving.state import Progress
from hetzner_k3s.lab.k3s.serving.supervisor import Supervisor, check_node_password, save_bootstrap
from hetzner_k3s.lab.k3s.setup import component_args, identity
from hetzner_k3s.lab.k3s.setup.invocation import Invocation
from hetzner_k3s.lab.k3s.setup.paths import KUBECONFIG, directory, write
from hetzner_k3s.lab.k3s.setup.timing import LeaseTiming
from hetzner_k3s.lab.k3s.trust import node_password, pki

_REMOVED = "this node has been removed from the cluster please restart k3s to rejoin the cluster"


class Server:
    """One run of `k3s server`."""

    def __init__(self, invocation: Invocation) -> None:
        self._flags, self._layout, self._timing = invocation.flags, invocation.layout, invocation.timing
        self._version, self._began = invocation.version, invocation.began
        self._who = identity.of_host(self._flags)
        settings = Settings(
            self._layout,
            self._who.address,
            self._flags.on("etcd-expose-metrics"),
            self._timing.heartbeat_ms,
            self._timing.election_ms,
        )
        self._etcd = RealEtcd(settings)
        self._store = Store(self._etcd)
        self._progress = Progress()
        self._endpoint = first_objects.Endpoint(self._store, self._who.address)
        self._removed = RemovedMember()
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: Listener | None = None
        self._member_name = ""

    async def run(self) -> None:
        """Run until SIGTERM.

        Raises:
            Fatal, ShutdownRequested: k3s ends by itself.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._progress.stop)
        start = preparation.decide(self._flags, self._layout)
        preparing = Preparation(self._flags, self._layout, self._who, self._timing.bootstrap_patience)
        try:
            prepared = await preparing.run(start)
            self._spawn(self._begin(prepared, preparing.description()))
            await self._progress.end
        finally:
            await self._shut_down()

    async def _shut_down(self) -> None:
        if self._progress.api_ready and not self._removed.known:
            await self._endpoint.withdraw()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.stop()
        await self._removed.stop()
        await self._etcd.stop()

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            self._progress.stop(problem)

    async def _until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, self._began + moment - time.monotonic()))

    async def _begin(self, prepared: Prepared, config: Obj) -> None:
        await self._open(config)
        await self._until(self._timing.token)
        self._write_access(prepared.password)
        await self._start_etcd(prepared)
        await until_answered(lambda: save_bootstrap(self._store, self._layout, prepared.password))
        await self._start_api()
        await asyncio.sleep(self._timing.announce)
        notify.ready()
        self._layout.reset_flag.unlink(missing_ok=True)
        await self._control()
        self._spawn(component_args.end_on_conflict(self._flags))
        await asyncio.sleep(self._timing.node)
        await self._run_node()

    async def _open(self, config: Obj) -> None:
        await self._until(self._timing.listen)
        supervisor = Supervisor(self._layout, config, self._who.name, self._etcd, self._store, self._progress)
        supervisor.load_passwords()
        face = ApiFace(self._store, self._who.address, self._version)
        self._listener = Listener(self._layout, self._progress, supervisor, face)
        await self._listener.start()
        await self._until(self._timing.serve)
        self._progress.serving = True

    def _write_access(self, password: str) -> None:
        pki.write_tokens(self._layout, password)
        mode = int(self._flags.text("write-kubeconfig-mode", "0600"), 8)
        pki.write_admin_kubeconfig(self._layout, mode, self._flags.text("write-kubeconfig-name", "default"))
        logfmt.info(f"Server node token is available at {self._layout.token}")
        logfmt.info(f"Agent node token is available at {self._layout.server / 'agent-token'}")
        logfmt.info(f"Wrote kubeconfig {KUBECONFIG}")
        logfmt.info("Run: k3s kubectl")

    async def _start_etcd(self, prepared: Prepared) -> None:
        launch = await self._launch(prepared)
        self._member_name = launch.name
        await self._etcd.start(launch)
        self._spawn(self._follow_etcd())
        ticks = LearnerTicks(
            self._etcd, self._store, self._progress, self._timing.promotion_tick, self._timing.condition_tick
        )
        self._spawn(ticks.run())
        status = await joining.wait_for_voter(self._etcd, self._timing, joining=launch.existing)
        logfmt.info(
            f"Connected to etcd v{status.version} - datastore using {status.db_size_in_use} of {status.db_size} bytes"
        )
        logfmt.info("Connection to etcd is ready")
        logfmt.info("ETCD server is now running")

    async def _launch(self, prepared: Prepared) -> Launch:
        if prepared.start is Start.NEW_CLUSTER:
            logfmt.info("Starting etcd for new cluster, cluster-reset=false")
            name = identity.new_member_name(self._who.name)
            return Launch(name, (f"{name}=https://{self._who.address}:2380",))
        name = identity.member_name(self._layout, self._who.name)
        if prepared.join is None:
            logfmt.info("Starting etcd for existing cluster member")
            return Launch(name)
        self._layout.etcd.mkdir(mode=0o700, parents=True, exist_ok=True)
        write(self._layout.member_name, name)
        return await joining.join(prepared.join, name, self._who.address)

    async def _follow_etcd(self) -> None:
        """Wait for etcd's own end: a member that learns it was removed stops for good."""
        if not await asyncio.shield(self._etcd.ended):
            raise Fatal("etcd exited unexpectedly")
        if self._progress.api_ready:
            # Only a member that was ready writes it; one that returns from the past just stays `activating`.
            write(self._layout.tombstone, "")
        logfmt.info(_REMOVED)
        await self._removed.serve()

    async def _start_api(self) -> None:
        await asyncio.sleep(self._timing.apiserver)
        await until_answered(lambda: first_objects.ensure(self._store))
        await until_answered(self._endpoint.announce)
        self._progress.api_ready = True
        self._spawn(self._initialize_storage())
        logfmt.info("Kube API server is now running")
        logfmt.info("k3s is up and running")

    async def _initialize_storage(self) -> None:
        await asyncio.sleep(self._timing.storage)
        self._progress.storage_ready = True

    async def _control(self) -> None:
        name, timing = self._who.name, self._timing
        self._spawn(self._endpoint.run())
        members = MemberFinalizer(self._store, self._etcd)
        self._lead("k3s-etcd", name, timing.etcd_lease, members.run)
        self._lead("k3s", name, timing.etcd_lease, PasswordFinalizer(self._store).run)
        ca = (self._layout.tls / "server-ca.crt").read_bytes()
        manager = (
            NamespaceController(self._store, ca).run,
            SilenceWatch(self._store, timing.node_grace).run,
            HelmController(self._store).run,
            CloudController(self._store, not self._flags.on("disable-cloud-controller")).run,
        )
        self._lead("kube-controller-manager", f"{name}_{uuid.uuid4()}", timing.controller_lease, *manager)

    def _lead(self, lease: str, who: str, timing: LeaseTiming, *controllers: Callable[[], Awaitable[None]]) -> None:
        async def lead() -> None:
            await asyncio.gather(*(controller() for controller in controllers))

        self._spawn(Election(self._store, lease, who, timing).run(lead))

    async def _run_node(self) -> None:
        if self._flags.on("disable-agent"):
            await self._claim_old_node()
            return
        # Byte for byte, as every agent keeps it (second/10).
        directory(self._layout.agent)
        write(self._layout.agent / "server-ca.crt", (self._layout.tls / "server-ca.crt").read_bytes())
        host = await kubelet.this_host()
        mine = kubelet.registration("server", self._flags, self._who, self._version, host)
        keeper = kubelet.Kubelet(self._store, mine)
        node = await keeper.register()
        self._spawn(keeper.keep_alive())
        if network_policy.is_enforced(self._flags):
            self._spawn(self._enforce_network_policy())
        await until_answered(self._announce_member)
        await until_answered(lambda: self._validate_password(node))

    async def _announce_member(self) -> None:
        await announce_member(self._store, self._who.name, self._member_name, self._who.address)

    async def _claim_old_node(self) -> None:
        """Write the member's name onto a Node that is there under this name, though no kubelet runs (second/02)."""
        try:
            await until_answered(self._announce_member)
        except ApiError as problem:
            logfmt.info(f"Waiting for node {self._who.name}: {problem.message}")

    async def _enforce_network_policy(self) -> None:
        """End k3s where no interface of this host has the Node's address (fixture second/01)."""
        await asyncio.sleep(self._timing.network)
        name, addresses = self._who.name, identity.addresses_of_host
        await network_policy.enforce(lambda: self._store.find(NODES, name), name, logfmt.write, addresses)

    async def _validate_password(self, node: Obj) -> None:
        """Compare the node password late: on a server a stale Secret only gives an event.

        See docs/facts/k3s.md#node-password.
        """
        try:
            await check_node_password(self._store, self._who.name, node_password.of_host())
            await self._own_password(node)
            await self._event(
                node, "Normal", "NodePasswordValidationComplete", "Deferred node password secret validation complete"
            )
        except ApiError as problem:
            text = f"Deferred node password secret validation failed: {problem.message}"
            await self._event(node, "Warning", "NodePasswordValidationFailed", text)

    async def _own_password(self, node: Obj) -> None:
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._who.name, "uid": node["metadata"]["uid"]}

        def edit(old: Obj) -> Obj:
            return old | {"metadata": old["metadata"] | {"ownerReferences": [owner]}}

        await self._store.change(SECRETS, node_password.secret_name(self._who.name), "kube-system", edit)

    async def _event(self, node: Obj, kind: str, reason: str, message: str) -> None:
        involved = {"kind": "Node", "name": self._who.name, "uid": node["metadata"]["uid"], "apiVersion": "v1"}
        now = timestamp(self._store.now())
        body = {
            "metadata": {"generateName": f"{self._who.name}."},
            "involvedObject": involved,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "k3s-supervisor"},
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
        }
        try:
            await self._store.create(EVENTS, body, "default")
        except (ApiError, EtcdError) as problem:
            logfmt.warning(f"Failed to record event for {NODES.kind} {self._who.name}: {problem}")
