"""Namespaces: what each gets when it appears, and how one goes away."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS, NAMESPACES, SERVICE_ACCOUNTS, Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.watching import each
from hetzner_k3s.lab.k3s.etcd.port import EtcdError

SYSTEM = ("default", "kube-node-lease", "kube-public", "kube-system")


async def create_if_absent(store: Store, resource: Resource, obj: Obj, namespace: str = "") -> None:
    """Create an object unless it is there."""
    try:
        await store.create(resource, obj, namespace)
    except ApiError as problem:
        if problem.code != 409:
            raise


class NamespaceController:
    """Runs under the lease `kube-controller-manager`.

    Args:
        store: the objects.
        ca: the cluster's CA file, published as `kube-root-ca.crt`.
    """

    def __init__(self, store: Store, ca: bytes) -> None:
        self._store, self._ca = store, ca.decode()

    async def run(self) -> None:
        """Follow the namespaces."""
        await each(self._store, NAMESPACES, self._handle)

    async def _handle(self, namespace: Obj) -> None:
        name = namespace["metadata"]["name"]
        if "deletionTimestamp" in namespace["metadata"]:
            await self._empty(name)
            await self._store.change(NAMESPACES, name, "", lambda old: old | {"spec": {"finalizers": []}})
        else:
            await create_if_absent(self._store, SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, name)
            root_ca = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": self._ca}}
            await create_if_absent(self._store, CONFIGMAPS, root_ca, name)

    async def _empty(self, name: str) -> None:
        await self._store.refresh_definitions()
        left = 0
        for resource in self._store.catalogue.all():
            if not resource.namespaced:
                continue
            objects, _ = await self._store.list(resource, name)
            for obj in objects:
                gone = await self._store.delete(resource, obj["metadata"]["name"], name)
                left += "deletionTimestamp" in gone["metadata"]
        if left:
            raise EtcdError(f"namespace {name} still holds {left} objects with finalizers")
