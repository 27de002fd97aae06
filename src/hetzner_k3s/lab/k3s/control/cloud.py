"""The cloud controller as far as Nodes show it: Hetzner's where it is installed, else k3s' own.

Hetzner's runs where its Deployment is, whether its chart brought that or `kubectl apply` of its manifest.
"""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.resources import DEPLOYMENTS, NODES, SECRETS, Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.node.node_object import (
    INSTANCE_ANNOTATION,
    PUBLIC_ADDRESS_ANNOTATION,
    UNINITIALIZED,
    with_external_ip,
)

HELM_CHARTS = Resource("helm.cattle.io", "v1", "helmcharts", "HelmChart", True, custom=True)
HCLOUD_CONTROLLER = "hcloud-cloud-controller-manager"
NETWORK = "HCLOUD_NETWORK"
_LOOK_EVERY = 1.0


def is_installed(deployment: Obj | None, secret: Obj | None) -> bool:
    """Check whether Hetzner's cloud controller runs: its Deployment is there, and what it logs in with."""
    keys = (secret or {}).get("data") or {}
    return deployment is not None and {"token", "network"} <= set(keys)


async def hetzner_runs(store: Store) -> bool:
    """Look whether Hetzner's cloud controller runs in a cluster."""
    deployment = await store.find(DEPLOYMENTS, HCLOUD_CONTROLLER, "kube-system")
    return is_installed(deployment, await store.find(SECRETS, "hcloud", "kube-system"))


async def knows_network(store: Store) -> bool:
    """Look whether Hetzner's cloud controller was told of a network."""
    deployment = await store.find(DEPLOYMENTS, HCLOUD_CONTROLLER, "kube-system")
    containers = ((deployment or {}).get("spec") or {}).get("template", {}).get("spec", {}).get("containers", ())
    return any(setting["name"] == NETWORK for container in containers for setting in container.get("env", ()))


def initialized(node: Obj, provider_id: str) -> Obj:
    """Return a Node as a cloud controller leaves it: provider id set, taint gone."""
    spec = node.get("spec") or {}
    taints = [taint for taint in spec.get("taints", ()) if taint["key"] != UNINITIALIZED]
    return node | {"spec": spec | {"providerID": spec.get("providerID") or provider_id, "taints": taints}}


def is_waiting(node: Obj) -> bool:
    """Check whether a Node waits for a cloud controller."""
    return any(taint["key"] == UNINITIALIZED for taint in node.get("spec", {}).get("taints", ()))


class CloudController:
    """Initializes Nodes, under the lease `kube-controller-manager`.

    Args:
        store: the objects.
        built_in: k3s' own controller is not disabled.
    """

    def __init__(self, store: Store, built_in: bool) -> None:
        self._store, self._built_in = store, built_in

    async def run(self) -> None:
        """Look every second."""
        while True:
            try:
                await self._look()
            except (ApiError, EtcdError) as problem:
                logfmt.error(f"error in cloud controller: {problem}")
            await asyncio.sleep(_LOOK_EVERY)

    async def _look(self) -> None:
        nodes, _ = await self._store.list(NODES)
        waiting = [node for node in nodes if is_waiting(node)]
        if not waiting:
            return
        hetzner = not self._built_in and await hetzner_runs(self._store)
        for node in waiting:
            name = node["metadata"]["name"]
            notes = node["metadata"].get("annotations") or {}
            server_id = notes.get(INSTANCE_ANNOTATION)
            if self._built_in:
                await self._initialize(name, f"k3s://{name}")
            elif hetzner and server_id:
                await self._show_address(name, notes.get(PUBLIC_ADDRESS_ANNOTATION, ""))
                await self._initialize(name, f"hcloud://{server_id}")

    async def _show_address(self, name: str, address: str) -> None:
        if address:
            network = await knows_network(self._store)
            await self._store.change(
                NODES, name, "", lambda old: with_external_ip(old, address, network=network), "status"
            )

    async def _initialize(self, name: str, provider_id: str) -> None:
        await self._store.change(NODES, name, "", lambda old: initialized(old, provider_id))
        logfmt.info(f"Successfully initialized node {name} with cloud provider")
