"""A kubelet as far as the cluster sees it: it registers its Node and keeps it alive; a node password ties it down."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable

from hetzner_k3s.lab.k3s.api.resources import LEASES, NODES, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import micro_timestamp, timestamp
from hetzner_k3s.lab.k3s.control.nodes import ADDRESS_ANNOTATION, ETCD_ROLE, NAME_ANNOTATION
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.trust import node_password
from hetzner_k3s.lab.simulated.hosts.host import Host

_HEARTBEAT = 10.0
_LEASE_SECONDS = 40
_LEASE_NAMESPACE = "kube-node-lease"


async def renewals(store: Store) -> dict[str, str]:
    """Read when each node's lease was renewed."""
    leases, _ = await store.list(LEASES, _LEASE_NAMESPACE)
    return {lease["metadata"]["name"]: lease["spec"]["renewTime"] for lease in leases}


async def check_password(store: Store, name: str, password: str) -> None:
    """Compare a node's password with its Secret, or take the first one.

    The hash is a quick one: scrypt costs 0.1 s and proves nothing here.

    Raises:
        ApiError: 403 when another host owns the name.
    """
    digest = hashlib.sha256(password.encode()).hexdigest()
    wanted = base64.b64encode(f"$1:{digest}".encode()).decode()
    secret = node_password.secret_name(name)
    found = await store.find(SECRETS, secret, "kube-system")
    if found is None:
        metadata = {"name": secret, "namespace": "kube-system"}
        body = {
            "metadata": metadata,
            "type": "k3s.cattle.io/node-password",
            "immutable": True,
            "data": {"hash": wanted},
        }
        await store.create(SECRETS, body, "kube-system")
    elif found["data"]["hash"] != wanted:
        raise ApiError(403, node_password.REJECTED)


def host_password(host: Host) -> str:
    """Read this host's node password; make it when there is none."""
    if host.disk.node_password is None:
        host.disk.node_password = host.chance.token_hex(16)
    return host.disk.node_password


class Kubelet:
    """Keeps one Node.

    Args:
        host, flags: where, and what to register.
        command: `server` or `agent`.
        store: gives the API to use now, None while none answers.
    """

    def __init__(self, host: Host, flags: Flags, command: str, store: Callable[[], Store | None]) -> None:
        node_object.check_labels(flags.many("node-label"))
        self._host, self._store = host, store
        self._mine = node_object.Registration(
            name=flags.text("node-name") or host.name,
            addresses=flags.many("node-ip") or host.addresses[:1],
            version=host.disk.k3s_version or "",
            server=command == "server",
            external_cloud=flags.argument("kubelet-arg", "cloud-provider") == "external",
            host=node_object.Host(
                cpus=2,
                memory_kib=4_000_000,
                kernel="6.12",
                os_image="Debian",
                machine_id=host.disk.machine_id,
                boot_id="",
                instance_id=str(host.server_id),
                public_ipv4=host.spec.public_ipv4 or "",
            ),
            labels=flags.many("node-label"),
            taints=flags.many("node-taint"),
            provider_id=flags.argument("kubelet-arg", "provider-id"),
            leaves_addresses=flags.argument("kubelet-arg", "cloud-provider") == "external",
        )

    async def register(self, etcd_name: str | None = None) -> None:
        """Create the Node or take over the one under this name; `etcd_name` is this server's member."""
        while True:
            store = self._store()
            try:
                if store is not None:
                    return await self._register(store, etcd_name)
            except (ApiError, EtcdError):
                pass
            await asyncio.sleep(1)

    async def _register(self, store: Store, etcd_name: str | None) -> None:
        if await store.find(NODES, self._mine.name) is None:
            await store.create(NODES, self._annotated(node_object.new(self._mine), etcd_name))
        else:
            await store.change(
                NODES, self._mine.name, "", lambda old: self._annotated(node_object.again(self._mine, old), etcd_name)
            )
        await self._renew_lease(store)
        await self._post_status(store)
        if self._mine.server:
            await self._own_password(store)

    def _annotated(self, new: Obj, etcd_name: str | None) -> Obj:
        """Mark a server's Node as an etcd member's."""
        if etcd_name is not None:
            new["metadata"]["annotations"] |= {
                NAME_ANNOTATION: etcd_name,
                ADDRESS_ANNOTATION: self._mine.addresses[0],
            }
            new["metadata"]["labels"] |= {ETCD_ROLE: "true"}
        return new

    async def _own_password(self, store: Store) -> None:
        """On a server a stale Secret only gives an event (docs/facts/k3s.md#node-password)."""
        try:
            await check_password(store, self._mine.name, host_password(self._host))
        except ApiError:
            return

    async def _renew_lease(self, store: Store) -> None:
        """Renew the lease past the API's rules, which have nothing to say here: a thousand do so every ten seconds."""
        key = LEASES.key(_LEASE_NAMESPACE, self._mine.name)
        spec = {
            "holderIdentity": self._mine.name,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": micro_timestamp(store.now()),
        }
        found = await store.kv.get(key)
        if not found.entries:
            await store.create(LEASES, {"metadata": {"name": self._mine.name}, "spec": spec}, _LEASE_NAMESPACE)
            return
        lease = json.loads(found.entries[0].value) | {"spec": spec}
        await store.kv.put(key, json.dumps(lease).encode(), found.entries[0].mod_revision)

    async def _post_status(self, store: Store) -> None:
        stamp = timestamp(store.now())
        await store.change(
            NODES,
            self._mine.name,
            "",
            lambda old: old | {"status": node_object.status(self._mine, old, stamp)},
            "status",
        )

    async def keep_alive(self) -> None:
        """Renew the lease every 10 s, and post the status when somebody declared the node dead. Never returns.

        A deleted Node is not registered again: only a new start of k3s does that.
        """
        while True:
            await asyncio.sleep(_HEARTBEAT)
            store = self._store()
            try:
                if store is not None and not self._host.frozen:
                    await self._renew_lease(store)
                    current = await store.find(NODES, self._mine.name)
                    if current and node_object.condition(current, "Ready") != "True":
                        await self._post_status(store)
            except (ApiError, EtcdError):
                continue
