"""Controllers about Nodes: those that fell silent, and what the cloud controller does to them; and charts."""

from __future__ import annotations

import asyncio
import datetime

from hetzner_k3s.lab.k3s.api.resources import NODES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import timestamp
from hetzner_k3s.lab.k3s.control import helm
from hetzner_k3s.lab.k3s.control.cloud import hetzner_runs, initialized, is_waiting, knows_network
from hetzner_k3s.lab.k3s.control.nodes import Heartbeats, declared_unknown
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.k3s.kubelet import renewals

_LOOK_EVERY = 5.0
_PROVIDER = "hcloud://"


class CloudControllers:
    """Silence and the cloud: declares silent Nodes unknown, initializes new ones, deletes those of deleted servers.

    Args:
        server, store: where it runs.
        built_in: k3s' own cloud controller is not disabled.
    """

    def __init__(self, server: Server, store: Store, *, built_in: bool) -> None:
        self._server, self._store, self._built_in = server, store, built_in
        self._heartbeats = Heartbeats(server.timing.node_grace)

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            try:
                await self._look()
            except (ApiError, EtcdError) as problem:
                self._server.log(f"error in node controllers: {problem}", "error")
            await asyncio.sleep(_LOOK_EVERY)

    async def _look(self) -> None:
        nodes, _ = await self._store.list(NODES)
        renewed = await renewals(self._store)
        for found in nodes:
            await self._watch_silence(found, renewed.get(found["metadata"]["name"], ""))
        await helm.look(self._store)
        hetzner = self._built_in or await hetzner_runs(self._store)
        for found in nodes if hetzner else ():
            await self._initialize(found)
            await self._forget(found)

    async def _watch_silence(self, found: Obj, renewed: str) -> None:
        name = found["metadata"]["name"]
        silent = self._heartbeats.silent(name, renewed, self._server.site.now())
        if silent and node_object.condition(found, "Ready") not in ("", "Unknown"):
            stamp = timestamp(self._store.now())
            await self._store.change(NODES, name, "", lambda old: declared_unknown(old, stamp), "status")

    async def _initialize(self, found: Obj) -> None:
        number = (found["metadata"].get("annotations") or {}).get(node_object.INSTANCE_ANNOTATION)
        if is_waiting(found) and number and self._is_due(found):
            name = found["metadata"]["name"]
            if not (self._built_in or await knows_network(self._store)):
                await self._show_public_address(found)
            await self._store.change(NODES, name, "", lambda old: initialized(old, f"{_PROVIDER}{number}"))

    async def _show_public_address(self, found: Obj) -> None:
        name, notes = found["metadata"]["name"], found["metadata"]["annotations"]
        address = str(notes.get(node_object.PUBLIC_ADDRESS_ANNOTATION, ""))
        await self._store.change(
            NODES, name, "", lambda old: node_object.with_external_ip(old, address, network=False), "status"
        )

    def _is_due(self, found: Obj) -> bool:
        """Check whether Hetzner's controller, should it be that one, comes to a Node by now."""
        registered = datetime.datetime.fromisoformat(found["metadata"]["creationTimestamp"])
        age = (self._store.now() - registered).total_seconds()
        return self._built_in or age >= self._server.site.cloud_controller_after

    async def _forget(self, found: Obj) -> None:
        """Delete the Node of a server that Hetzner no longer has, once it fell silent."""
        provider = str(found.get("spec", {}).get("providerID") or "")
        gone = provider.startswith(_PROVIDER) and not self._server.site.server_exists(int(provider[len(_PROVIDER) :]))
        if gone and node_object.condition(found, "Ready") != "True" and "deletionTimestamp" not in found["metadata"]:
            await self._store.delete(NODES, found["metadata"]["name"])
