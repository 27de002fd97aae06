"""What every cluster holds before a user comes: system namespaces, k3s' own definitions, the API's endpoints."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.definitions import DEFINITIONS
from hetzner_k3s.lab.k3s.api.resources import CUSTOM_RESOURCE_DEFINITIONS, ENDPOINT_SLICES, NAMESPACES, SERVICES, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.namespaces import SYSTEM, create_if_absent
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.serving.supervisor import MASTER_LEASES, api_servers

_LEASE_SECONDS = 15
_RENEW_EVERY = 5.0


async def ensure(store: Store) -> None:
    """Create what is missing; the UID of kube-system, made here once, is half of the cluster's identity."""
    present = {row["metadata"]["name"] for row in (await store.list(NAMESPACES))[0]}
    await asyncio.gather(
        *(create_if_absent(store, NAMESPACES, {"metadata": {"name": name}}) for name in SYSTEM if name not in present)
    )
    defined = {row["metadata"]["name"] for row in (await store.list(CUSTOM_RESOURCE_DEFINITIONS))[0]}
    missing = [row for row in DEFINITIONS if row["metadata"]["name"] not in defined]
    for row in missing:
        logfmt.info(f"Creating embedded CRD {row['metadata']['name']}")
    await asyncio.gather(*(create_if_absent(store, CUSTOM_RESOURCE_DEFINITIONS, row) for row in missing))
    await store.refresh_definitions()
    await create_if_absent(store, SERVICES, _kubernetes_service(), "default")


def _kubernetes_service() -> Obj:
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    metadata = {"name": "kubernetes", "labels": {"component": "apiserver", "provider": "kubernetes"}}
    return {"metadata": metadata, "spec": {"clusterIP": "10.43.0.1", "ports": ports, "type": "ClusterIP"}}


class Endpoint:
    """Keeps this API server listed: an etcd lease of 15 s, and the EndpointSlice `kubernetes` made of all of them."""

    def __init__(self, store: Store, address: str) -> None:
        self._store, self._key, self._lease = store, MASTER_LEASES + address, 0

    async def announce(self) -> None:
        """Write this server into the list."""
        self._lease = await self._store.kv.grant(_LEASE_SECONDS)
        found = await self._store.kv.get(self._key)
        expected = found.entries[0].mod_revision if found.entries else 0
        await self._store.kv.put(self._key, b"{}", expected, self._lease)
        await self._publish()

    async def run(self) -> None:
        """Stay listed. Never returns."""
        while True:
            await asyncio.sleep(_RENEW_EVERY)
            try:
                if not await self._store.kv.keep_alive(self._lease):
                    await self.announce()
                else:
                    await self._publish()
            except (EtcdError, ApiError) as problem:
                logfmt.error(f"Unable to update endpoints: {problem}")

    async def withdraw(self) -> None:
        """Leave the list, at a graceful stop."""
        try:
            found = await asyncio.wait_for(self._store.kv.get(self._key), 1)
            if found.entries:
                await asyncio.wait_for(self._store.kv.delete(self._key, found.entries[0].mod_revision), 1)
        except (EtcdError, TimeoutError):
            pass  # the lease runs out

    async def _publish(self) -> None:
        addresses = [server.rpartition(":")[0] for server in await api_servers(self._store)]
        wanted = _slice(addresses)
        found = await self._store.find(ENDPOINT_SLICES, "kubernetes", "default")
        if found is None:
            await create_if_absent(self._store, ENDPOINT_SLICES, wanted, "default")
        elif found["endpoints"] != wanted["endpoints"]:
            await self._store.change(
                ENDPOINT_SLICES, "kubernetes", "default", lambda old: old | {"endpoints": wanted["endpoints"]}
            )


def _slice(addresses: list[str]) -> Obj:
    return {
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    }
