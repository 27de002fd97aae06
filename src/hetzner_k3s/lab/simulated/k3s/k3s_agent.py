"""`k3s agent` on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from hetzner_k3s.lab.k3s.api.resources import NODES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.logfmt import Fatal
from hetzner_k3s.lab.k3s.node import network_policy
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.k3s.trust.tokens import Token
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.k3s.kubelet import Kubelet, check_password, host_password
from hetzner_k3s.lab.simulated.k3s.supervisor import SupervisorError, dial, trusted_cacerts
from hetzner_k3s.model.operations.operation import K3sRole

_RETRY = 2.0
_REFRESH = 10.0
_DIAL_SECONDS = 5.0


class K3sAgent:
    """One run of `k3s agent`.

    Args:
        host: where.
        flags: its configuration.
    """

    def __init__(self, host: Host, flags: Flags) -> None:
        self._host, self._flags = host, flags
        self._name = flags.text("node-name") or host.name
        self._server = flags.text("server").rstrip("/")
        self._current: Server | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, ready: Callable[[], None]) -> None:
        """Run until it ends by itself.

        Raises:
            Fatal: the configuration names no server or no token. One whose token is of another CA waits for ever
                (second/13-f2-worker.txt).
        """
        text = self._flags.text("token")
        if not self._server or not text:
            raise Fatal("Error: --server and --token are required")
        token = tokens.parse(text)
        self._host.disk.agent_ca = await self._trust(token)
        await self._certificates(token)
        await self._refresh()
        # Also while the Node is registered: a master may be started anew just then, as a restore does.
        self._tasks.append(self._host.spawn(self._keep_refreshing()))
        kubelet = Kubelet(self._host, self._flags, "agent", self._store)
        await asyncio.sleep(self._host.site.timing.node)
        await kubelet.register()
        alive = self._host.spawn(kubelet.keep_alive())
        self._tasks.append(alive)
        await self._network_policy()
        ready()
        self._host.tell_changed()
        await alive

    async def _network_policy(self) -> None:
        """Wait for a cloud controller, where the servers' configuration has network policies enforced."""
        if self._current is not None and self._current.description.get("DisableNPC"):
            return
        await network_policy.enforce(self._own_node, self._name, self._log, lambda: self._host.addresses)

    async def _own_node(self) -> Obj | None:
        store = self._store()
        return await store.find(NODES, self._name) if store is not None else None

    def _log(self, text: str, level: str) -> None:
        self._host.log(K3sRole.AGENT, f"level={level} msg={text!r}")

    def close(self) -> None:
        """End whatever runs."""
        for task in self._tasks:
            task.cancel()

    def _candidates(self) -> list[str]:
        """List base URLs: the servers that the cluster named, then the configured one."""
        known = [f"https://{address}:6443" for address in self._host.disk.agent_servers]
        return [*known, *([] if self._server in known else [self._server])]

    async def _find(self) -> Server | None:
        for url in self._candidates():
            try:
                server = await dial(self._host.site, self._host, url, _DIAL_SECONDS)
            except SupervisorError:
                continue
            if server.api_ready:
                return server
        return None

    async def _trust(self, token: Token) -> bytes:
        while True:
            for url in self._candidates():
                try:
                    server = await dial(self._host.site, self._host, url, _DIAL_SECONDS)
                    return trusted_cacerts(server, token)
                except SupervisorError as problem:
                    text = f"failed to validate connection to cluster at {url}: {problem}"
                    self._log(text, "error")
            await asyncio.sleep(_RETRY)

    async def _certificates(self, token: Token) -> None:
        """Get this node's certificates; they cost the node password."""
        while True:
            server = await self._find()
            if server is not None and server.store is not None:
                if server.passwords["node"][0] != token.password:
                    why = "not authorized"
                else:
                    try:
                        return await check_password(server.store, self._name, host_password(self._host))
                    except (ApiError, EtcdError) as problem:
                        why = problem.message
                text = f"Waiting to retrieve agent configuration; server is not ready: {why}"
                self._log(text, "info")
            await asyncio.sleep(_RETRY)

    def _store(self) -> Store | None:
        server = self._current
        usable = server is not None and server.api_ready and self._host.site.connected(self._host, server.host)
        return server.store if server is not None and usable else None

    async def _keep_refreshing(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH)
            await self._refresh()

    async def _refresh(self) -> None:
        """Take over the cluster's list of API servers; one that does not answer loses its turn."""
        server = await self._find()
        if server is None:
            return
        self._current = server
        try:
            found = await server.member().list("/registry/masterleases/")
        except EtcdError:
            return
        addresses = [entry.key.rpartition("/")[2] for entry in found.entries]
        if addresses:
            known = self._host.disk.agent_servers
            kept = [address for address in known if address in addresses]
            self._host.disk.agent_servers = [*kept, *(a for a in addresses if a not in kept)]
