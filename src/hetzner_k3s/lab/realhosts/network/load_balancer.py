"""Load balancers: TCP proxies with health checks by TCP or HTTP, listening on public and private addresses."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
from collections.abc import Callable
from dataclasses import dataclass

from hetzner_k3s.lab.cloud.effects.machines import BalancerService, BalancerSpec, BalancerTarget, HealthCheck
from hetzner_k3s.lab.realhosts.command import run
from hetzner_k3s.lab.realhosts.network import health_checks
from hetzner_k3s.lab.realhosts.network.fabric import Fabric
from hetzner_k3s.lab.realhosts.network.namespaces import NetworkNamespace

_CONNECT_SECONDS = 5.0


@dataclass(slots=True)
class _Listener:
    namespace: NetworkNamespace | None
    server: asyncio.Server


class Balancer:
    """One load balancer. `pace` turns the interval of the health checks into the one that is kept (seconds)."""

    def __init__(self, fabric: Fabric, pace: Callable[[float], float]) -> None:
        self._fabric = fabric
        self._pace = pace
        self._spec: BalancerSpec | None = None
        self._turns = itertools.count()
        self._listeners: dict[tuple[str, int], _Listener] = {}
        self._checks: dict[tuple[BalancerTarget, BalancerService], asyncio.Task[None]] = {}
        self.health: dict[tuple[int, int], bool] = {}

    async def become(self, spec: BalancerSpec) -> None:
        """Change into what `spec` says; listeners, connections and checks that remain are not disturbed."""
        self._spec = spec
        await self._adapt_listeners(spec)
        await self._adapt_checks(spec)

    async def refresh(self) -> None:
        """Look again where the addresses lie: networks appear with their first member."""
        if self._spec is not None:
            await self.become(self._spec)

    async def leave(self, namespace: NetworkNamespace) -> None:
        """Stop listening in a namespace that is about to go."""
        for key, listener in list(self._listeners.items()):
            if listener.namespace is namespace:
                await self._close(key)

    async def stop(self) -> None:
        """End listeners and checks."""
        for key in list(self._listeners):
            await self._close(key)
        for check in self._checks.values():
            check.cancel()
        self._checks.clear()

    async def _adapt_listeners(self, spec: BalancerSpec) -> None:
        wanted = {}
        for address in spec.addresses:
            found, namespace = self._locate(address, spec)
            if found:
                wanted.update({(address, service.listen_port): namespace for service in spec.services})
        for key, listener in list(self._listeners.items()):
            if key not in wanted or wanted[key] is not listener.namespace:
                await self._close(key)
        for key, namespace in wanted.items():
            if key not in self._listeners:
                await self._listen(*key, namespace)

    async def _adapt_checks(self, spec: BalancerSpec) -> None:
        wanted = set(itertools.product(spec.targets, spec.services))
        for gone in self._checks.keys() - wanted:
            self._checks.pop(gone).cancel()
        kept = {(target.server_id, service.listen_port) for target, service in wanted}
        self.health = {key: healthy for key, healthy in self.health.items() if key in kept}
        for target, service in wanted - self._checks.keys():
            self._checks[target, service] = asyncio.create_task(self._check(target, service))

    def _locate(self, address: str, spec: BalancerSpec) -> tuple[bool, NetworkNamespace | None]:
        """Check whether the address can be had now, and in which namespace (None: the router's)."""
        network = self._fabric.network_holding(address, {target.server_id for target in spec.targets})
        if network is not None:
            return True, network.namespace
        return not _is_private(address), None

    async def _listen(self, address: str, port: int, namespace: NetworkNamespace | None) -> None:
        await run("ip", *_where(namespace), "addr", "replace", f"{address}/32", "dev", "lo")
        listening = await _socket(namespace)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((address, port))

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._forward(port, reader, writer)

        self._listeners[address, port] = _Listener(namespace, await asyncio.start_server(serve, sock=listening))

    async def _close(self, key: tuple[str, int]) -> None:
        listener = self._listeners.pop(key)
        listener.server.close()
        if not any(address == key[0] for address, _ in self._listeners):
            await run("ip", *_where(listener.namespace), "addr", "del", f"{key[0]}/32", "dev", "lo")

    async def _forward(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await self._connect_to_healthy(port)
        except (OSError, TimeoutError):
            writer.close()
            return
        await asyncio.gather(_copy(reader, inner_writer), _copy(inner_reader, writer))
        for side in (writer, inner_writer):
            side.close()

    async def _connect_to_healthy(self, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        spec = self._spec
        service = next((each for each in spec.services if each.listen_port == port), None) if spec else None
        targets = [target for target in spec.targets if self.health.get((target.server_id, port))] if spec else []
        if service is None or not targets:
            raise ConnectionRefusedError
        target = targets[next(self._turns) % len(targets)]
        async with asyncio.timeout(_CONNECT_SECONDS):
            return await asyncio.open_connection(sock=await self._connect(target, service.destination_port))

    async def _connect(self, target: BalancerTarget, port: int) -> socket.socket:
        network = self._fabric.network_holding(target.address, {target.server_id})
        outgoing = await _socket(network.namespace if network else None)
        try:
            await asyncio.get_running_loop().sock_connect(outgoing, (target.address, port))
        except BaseException:
            outgoing.close()
            raise
        return outgoing

    async def _check(self, target: BalancerTarget, service: BalancerService) -> None:
        """Check for ever: what the first check found, and then what `retries` in a row found otherwise."""
        key, check = (target.server_id, service.listen_port), service.health_check
        otherwise = 0
        while True:
            passed = await self._passes(target, check)
            otherwise = 0 if passed == self.health.get(key) else otherwise + 1
            if otherwise >= check.retries or key not in self.health:
                self.health[key], otherwise = passed, 0
            await asyncio.sleep(self._pace(check.interval))

    async def _passes(self, target: BalancerTarget, check: HealthCheck) -> bool:
        try:
            async with asyncio.timeout(check.timeout):
                return await health_checks.passes(await self._connect(target, check.port), check.http)
        except (OSError, TimeoutError, ValueError):  # ValueError: an endless line
            return False


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()


async def _socket(namespace: NetworkNamespace | None) -> socket.socket:
    if namespace is not None:
        return await namespace.socket()
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    made.setblocking(False)
    return made


def _where(namespace: NetworkNamespace | None) -> tuple[str, ...]:
    return ("-n", namespace.name) if namespace else ()


def _is_private(address: str) -> bool:
    # Not ipaddress.is_private: the documentation ranges that stand for public addresses here are "private" to it.
    first, second = (int(part) for part in address.split(".")[:2])
    return first == 10 or (first, second) == (192, 168) or (first == 172 and 16 <= second < 32)
