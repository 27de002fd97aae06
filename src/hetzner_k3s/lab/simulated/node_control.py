"""Controllers about Nodes: their finalizers, those that fell silent, and what the cloud controller does to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from hetzner_k3s.lab.k3s import membership, node, node_password
from hetzner_k3s.lab.k3s.api.resources import NODES, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import timestamp
from hetzner_k3s.lab.k3s.control.cloud import HELM_CHARTS, initialized, is_installed, is_waiting
from hetzner_k3s.lab.k3s.control.nodes import (
    ADDRESS_ANNOTATION,
    ETCD_FINALIZER,
    NAME_ANNOTATION,
    NODE_FINALIZER,
    with_finalizer,
    without_finalizer,
)
from hetzner_k3s.lab.k3s.etcd_port import EtcdError
from hetzner_k3s.lab.k3s.model_etcd import ModelEtcd
from hetzner_k3s.lab.simulated.kubelet import beats

if TYPE_CHECKING:
    from hetzner_k3s.lab.simulated.k3s_server import K3sServer

_AGAIN = 1.0
_LOOK_EVERY = 5.0
_PROVIDER = "hcloud://"


class _Finalizer:
    """Holds every Node by one finalizer, and does something before it lets a deleted one go."""

    finalizer: str

    def __init__(self, server: K3sServer, store: Store) -> None:
        self._server, self._store = server, store

    async def run(self) -> None:
        """Follow the Nodes. Never returns; what fails is tried again a second later."""
        while True:
            try:
                objects, revision = await self._store.list(NODES)
                for found in objects:
                    await self._handle(found)
                async for change in self._store.watch(NODES, "", revision):
                    if change.kind != "DELETED":
                        await self._handle(change.obj)
            except (ApiError, EtcdError) as problem:
                self._server.log(f"error syncing nodes: {problem}, requeuing", "error")
            await asyncio.sleep(_AGAIN)

    async def _handle(self, found: Obj) -> None:
        held = self.finalizer in (found["metadata"].get("finalizers") or [])
        deleted = "deletionTimestamp" in found["metadata"]
        if not deleted and not held:
            await self._edit(found, with_finalizer)
        elif deleted and held:
            await self.before_release(found)
            await self._edit(found, without_finalizer)

    async def _edit(self, found: Obj, edit: Callable[[Obj, str], Obj]) -> None:
        try:
            await self._store.change(NODES, found["metadata"]["name"], "", lambda old: edit(old, self.finalizer))
        except ApiError as problem:
            if problem.code != 404:
                raise

    async def before_release(self, found: Obj) -> None:
        """Do what must be done while the deleted Node still exists."""
        raise NotImplementedError


class MemberFinalizer(_Finalizer):
    """Removes the etcd member of a deleted Node: name and address must both be its own."""

    finalizer = ETCD_FINALIZER

    def __init__(self, server: K3sServer, store: Store, etcd: ModelEtcd) -> None:
        super().__init__(server, store)
        self._etcd = etcd

    async def before_release(self, found: Obj) -> None:
        """Remove the Node's etcd member."""
        metadata = found["metadata"]
        if "node-role.kubernetes.io/control-plane" not in (metadata.get("labels") or {}):
            return
        annotations = metadata.get("annotations") or {}
        name, address = annotations.get(NAME_ANNOTATION), annotations.get(ADDRESS_ANNOTATION)
        if not name or not address:
            raise EtcdError(f"node {metadata['name']} does not have etcd annotations")
        victim = membership.to_remove(await self._etcd.members(), name, address)
        if victim is not None:
            await self._etcd.remove(victim.id)


class PasswordFinalizer(_Finalizer):
    """Removes the node password of a deleted Node."""

    finalizer = NODE_FINALIZER

    async def before_release(self, found: Obj) -> None:
        """Delete the Node's password secret."""
        try:
            await self._store.delete(SECRETS, node_password.secret_name(found["metadata"]["name"]), "kube-system")
        except ApiError as problem:
            if problem.code != 404:
                raise


class CloudControllers:
    """Silence and the cloud: declares silent Nodes unknown, initializes new ones, deletes those of deleted servers.

    Args:
        server, store: where it runs.
        built_in: k3s' own cloud controller is not disabled.
    """

    def __init__(self, server: K3sServer, store: Store, *, built_in: bool) -> None:
        self._server, self._store, self._built_in = server, store, built_in
        self._seen: dict[str, tuple[float, float]] = {}

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
        beaten = await beats(self._store)
        for found in nodes:
            await self._watch_silence(found, beaten.get(found["metadata"]["name"], 0.0))
        hetzner = self._built_in or await self._hetzner_runs()
        for found in nodes if hetzner else ():
            await self._initialize(found)
            await self._forget(found)

    async def _watch_silence(self, found: Obj, beat: float) -> None:
        name, now = found["metadata"]["name"], self._server.site.now()
        if self._seen.get(name, (-1.0, 0.0))[0] != beat:
            self._seen[name] = (beat, now)
        silent = now - self._seen[name][1] >= self._server.timing.node_grace
        if silent and node.condition(found, "Ready") not in ("", "Unknown"):
            stamp = timestamp(self._store.now())
            unknown = ("Ready", "Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")

            def edit(old: Obj) -> Obj:
                status = old.get("status") or {}
                return old | {
                    "status": status | {"conditions": node.with_condition(status["conditions"], unknown, stamp)}
                }

            await self._store.change(NODES, name, "", edit, "status")

    async def _hetzner_runs(self) -> bool:
        charts, _ = await self._store.list(HELM_CHARTS)
        return is_installed(charts, await self._store.find(SECRETS, "hcloud", "kube-system"))

    async def _initialize(self, found: Obj) -> None:
        number = (found["metadata"].get("annotations") or {}).get(node.INSTANCE_ANNOTATION)
        if is_waiting(found) and number:
            name = found["metadata"]["name"]
            await self._store.change(NODES, name, "", lambda old: initialized(old, f"{_PROVIDER}{number}"))

    async def _forget(self, found: Obj) -> None:
        """Delete the Node of a server that Hetzner no longer has, once it fell silent."""
        provider = str(found.get("spec", {}).get("providerID") or "")
        gone = provider.startswith(_PROVIDER) and not self._server.site.server_exists(int(provider[len(_PROVIDER) :]))
        if gone and node.condition(found, "Ready") != "True" and "deletionTimestamp" not in found["metadata"]:
            await self._store.delete(NODES, found["metadata"]["name"])
