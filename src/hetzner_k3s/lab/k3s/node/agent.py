"""`k3s agent`: a worker that finds servers, gets its certificates and keeps its Node."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
import time

from hetzner_k3s.lab.k3s import logfmt, notify
from hetzner_k3s.lab.k3s.api.client import RemoteObjects
from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.node import cluster_client, kubelet, network_policy
from hetzner_k3s.lab.k3s.node.cluster_client import SupervisorClient, SupervisorError
from hetzner_k3s.lab.k3s.node.load_balancer import Balancer, merged
from hetzner_k3s.lab.k3s.setup import identity
from hetzner_k3s.lab.k3s.setup.invocation import Invocation
from hetzner_k3s.lab.k3s.setup.paths import directory, write
from hetzner_k3s.lab.k3s.trust import node_password
from hetzner_k3s.lab.k3s.trust.tokens import Token

_REFRESH = 5.0


class Agent:
    """One run of `k3s agent`."""

    def __init__(self, invocation: Invocation) -> None:
        self._flags, self._layout, self._timing = invocation.flags, invocation.layout, invocation.timing
        self._version, self._began = invocation.version, invocation.began
        self._who = identity.of_host(self._flags)
        self._server = self._flags.text("server").rstrip("/")
        self._balancer = Balancer(self._layout.agent / "etc" / "k3s-agent-load-balancer.json", self._server)
        self._end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Run until SIGTERM.

        Raises:
            Fatal: the configuration names no server or no token.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        working = asyncio.ensure_future(self._work())
        await asyncio.wait((working, self._end), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)

    def _stop(self) -> None:
        if not self._end.done():
            self._end.set_result(None)

    async def _work(self) -> None:
        token = identity.configured_token(self._flags)
        if not self._server or token is None:
            raise Fatal("Error: --server and --token are required")
        logfmt.info(f"Starting k3s agent {self._version}")
        directory(self._layout.root, 0o755)
        directory(self._layout.agent)
        directory(self._layout.agent / "etc", 0o755)
        self._balancer.load()
        cacerts = await self._trust(token)
        await self._serve_node(cacerts, token.password)

    async def _trust(self, token: Token) -> bytes:
        while True:
            for server in self._balancer.candidates():
                try:
                    cacerts = await cluster_client.trusted_cacerts(server, token, timeout=5)
                except SupervisorError as problem:
                    # As recorded (second/13-f2-worker.txt): a token of another CA is no reason to end.
                    logfmt.error(f"Failed to validate connection to cluster at {server}: {problem}")
                else:
                    write(self._layout.agent / "server-ca.crt", cacerts)
                    return cacerts
            await asyncio.sleep(2 if self._timing.connection_stall else 0.5)

    async def _serve_node(self, cacerts: bytes, password: str) -> None:
        await self._certificates(cacerts, password)
        context = ssl.create_default_context(cadata=cacerts.decode())
        context.load_cert_chain(self._layout.agent / "client-kubelet.crt", self._layout.agent / "client-kubelet.key")
        objects = RemoteObjects(self._balancer, context)
        try:
            mine = kubelet.registration("agent", self._flags, self._who, self._version, await kubelet.this_host())
            keeper = kubelet.Kubelet(objects, mine)
            await self._refresh(cacerts, password)
            await asyncio.sleep(self._timing.node)
            await keeper.register()
            network = self._network(objects, await self._enforces_policies(cacerts, password))
            await asyncio.gather(keeper.keep_alive(), self._keep_refreshing(cacerts, password), network)
        finally:
            await objects.close()

    async def _network(self, objects: RemoteObjects, enforced: bool) -> None:
        """Tell systemd READY: where network policies are enforced only when a cloud controller has seen the Node."""
        if enforced:
            name = self._who.name
            addresses = identity.addresses_of_host
            await network_policy.enforce(lambda: objects.find(NODES, name), name, logfmt.write, addresses)
        notify.ready()
        logfmt.info("k3s agent is up and running")

    async def _enforces_policies(self, cacerts: bytes, password: str) -> bool:
        """Ask the cluster, whose servers decide that; one that does not answer enforces them, as is k3s' default."""
        try:
            config = await SupervisorClient(self._balancer.choose(), cacerts, password).config()
        except SupervisorError:
            return True
        return not config.get("DisableNPC")

    async def _certificates(self, cacerts: bytes, password: str) -> None:
        """Get this node's certificates; the first one costs the node password."""
        headers = {
            "k3s-Node-Name": self._who.name,
            "k3s-Node-Password": node_password.of_host(),
            "k3s-Node-IP": ",".join(self._who.addresses),
        }
        for name in ("serving-kubelet", "client-kubelet", "client-kube-proxy", "client-k3s-controller"):
            pem = await self._retrieve(f"{name}.crt", cacerts, password, headers)
            certificate, marker, key = pem.partition(b"-----BEGIN EC PRIVATE KEY-----")
            write(self._layout.agent / f"{name}.crt", certificate)
            write(self._layout.agent / f"{name}.key", marker + key)
        write(self._layout.agent / "client-ca.crt", await self._retrieve("client-ca.crt", cacerts, password, headers))

    async def _retrieve(self, file: str, cacerts: bytes, password: str, headers: dict[str, str]) -> bytes:
        complained = 0.0
        while True:
            server = self._balancer.choose()
            try:
                return await SupervisorClient(server, cacerts, password).get(f"/v1-k3s/{file}", headers=headers)
            except SupervisorError as problem:
                if time.monotonic() - complained > 5:
                    complained = time.monotonic()
                    path = self._layout.agent / file
                    logfmt.info(f"Waiting to retrieve agent configuration; server is not ready: {path}: {problem}")
                if problem.code == 0:
                    self._balancer.failed(server)
            await asyncio.sleep(2 if self._timing.connection_stall else 0.5)

    async def _keep_refreshing(self, cacerts: bytes, password: str) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            await self._refresh(cacerts, password)

    async def _refresh(self, cacerts: bytes, password: str) -> None:
        """Take over the cluster's list of API servers; a server that does not answer loses its turn."""
        server = self._balancer.choose()
        try:
            data = await SupervisorClient(server, cacerts, password).get("/v1-k3s/apiservers", timeout=4)
        except SupervisorError as problem:
            self._balancer.failed(server)
            logfmt.warning(f"Failed to list API servers from {server}: {problem}")
            return
        found: list[str] = json.loads(data)
        if found and merged(self._balancer.addresses, found) != self._balancer.addresses:
            self._balancer.replace(found)
            logfmt.info(
                "Updated load balancer k3s-agent-load-balancer server addresses -> "
                f"[{' '.join(self._balancer.addresses)}] "
                f"[default: {self._server.removeprefix('https://')}]"
            )
