"""`ports.Kube` on the objects of the simulated k3s, one master at a time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar

from hetzner_k3s.lab.k3s.api import patch
from hetzner_k3s.lab.k3s.api.eviction import evict
from hetzner_k3s.lab.k3s.api.resources import (
    CONFIGMAPS,
    NAMESPACES,
    NODES,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    Obj,
    Resource,
)
from hetzner_k3s.lab.k3s.api.status import INITIALIZING, ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.cloud import HELM_CHARTS, is_waiting
from hetzner_k3s.lab.k3s.control.nodes import ETCD_FINALIZER, NODE_FINALIZER, without_finalizer
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.node import node_object as node_objects
from hetzner_k3s.lab.k3s.trust import node_password
from hetzner_k3s.lab.simulated import node_labels, node_load
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.hosts import SimulatedHosts
from hetzner_k3s.lab.simulated.kubelet import beats
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import DeadlineExceeded, Fate, HostError, KubeError
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import BeforeStart, Credentials, KubeNode, KubeView, Leaving, NodeLoad, Pod, leaving_of
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, read_note
from hetzner_k3s.model.secrets import Secret

T = TypeVar("T")

_NAMESPACE: Final = "kube-system"
_OURS: Final = "hetzner-k3s"
_CREDENTIALS: Final = "hcloud"
_DIGEST: Final = "hetzner-k3s/digest"
_TIMEOUT: Final = 10.0
_PERSIST: Final = 60.0
_INITIALIZES: Final = 10.0
_GONE_WITHIN: Final = 90.0
_GOES_WITHIN: Final = 10.0
_POLL: Final = 0.5
_ANSWER: Final = (0.005, 0.03)
_KINDS: Final[Mapping[str, Resource]] = {"Secret": SECRETS, "ConfigMap": CONFIGMAPS, "HelmChart": HELM_CHARTS}


class SimulatedKube:
    """One operator's way to each master's API; see `ports.Kube` for what each method does.

    Args:
        hosts: the same operator's SSH.
        moments, chance: of the run.
    """

    def __init__(self, hosts: SimulatedHosts, moments: Moments, chance: Chance) -> None:
        self._hosts, self._moments, self._chance = hosts, moments, chance
        self.writes: list[str] = []
        """Every call of this run that could change something."""

    async def view(self, master: HostTarget) -> KubeView:
        """Read everything."""
        return await self._again(master, _view, "read the cluster", _INITIALIZES, _is_initializing)

    async def delete_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Delete a Node if it still has this UID, and wait until it is gone."""

        async def delete(store: Store) -> None:
            try:
                await store.delete(NODES, name, uid=uid)
            except ApiError as problem:
                if problem.code not in (404, 409):
                    raise

        async def gone(store: Store) -> bool:
            found = await store.find(NODES, name)
            return found is None or found["metadata"]["uid"] != uid

        await self._write(master, delete, f"delete Node {name}")
        await self._until(master, gone, f"Node {name} is still there, so its finalizers are", _GONE_WITHIN)

    async def drop_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Delete a Node if it still has this UID, with all its finalizers."""

        async def drop(store: Store) -> None:
            found = await store.find(NODES, name)
            if found is None or found["metadata"]["uid"] != uid:
                return
            await store.delete(NODES, name, uid=uid)
            if await store.find(NODES, name) is not None:
                await store.change(
                    NODES, name, "", lambda old: old | {"metadata": old["metadata"] | {"finalizers": []}}
                )

        await self._write(master, drop, f"drop Node {name}")

    async def release_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Take k3s' own finalizers off a Node that is being deleted."""

        async def gone(store: Store) -> bool:
            found = await store.find(NODES, name)
            return found is None or found["metadata"]["uid"] != uid

        async def release(store: Store) -> None:
            if not await gone(store):
                await store.change(NODES, name, "", _without_k3s_finalizers)

        try:
            await self._until(master, gone, f"Node {name} is still there", _GOES_WITHIN)
        except DeadlineExceeded:
            await self._write(master, release, f"take k3s' finalizers off Node {name}")

    async def delete_node_password(self, master: HostTarget, name: str) -> None:
        """Delete the Secret that ties a node's name to its password."""

        async def delete(store: Store) -> None:
            try:
                await store.delete(SECRETS, node_password.secret_name(name), _NAMESPACE)
            except ApiError as problem:
                if problem.code != 404:
                    raise

        await self._write(master, delete, f"delete the node password of {name}")

    async def annotate_node(
        self, master: HostTarget, name: str, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        """Set annotations and labels on a Node."""

        async def annotate(store: Store) -> None:
            change = {"metadata": {"annotations": dict(annotations), "labels": dict(labels)}}
            await store.change(NODES, name, "", lambda old: _without_version(patch.merge(old, change)))

        await self._write(master, annotate, f"annotate Node {name}")

    async def label_node(self, master: HostTarget, name: str, uid: str, change: NodeChange) -> None:
        """Change a Node's labels and taints, if it is still this one."""

        async def label(store: Store) -> None:
            found = await store.find(NODES, name)
            if found is not None and found["metadata"]["uid"] == uid:
                await store.change(NODES, name, "", lambda old: _without_version(node_labels.relabelled(old, change)))

        await self._write(master, label, f"label Node {name}")

    async def last_heartbeat(self, master: HostTarget, name: str) -> str | None:
        """Read when a Node's lease was last renewed."""
        return await self._again(master, _heartbeat_of(name), f"read the lease of {name}")

    async def wait_node_ready(
        self, master: HostTarget, name: str, deadline: float, before: BeforeStart | None = None
    ) -> None:
        """Look at a Node until it is Ready."""

        async def ready(store: Store) -> bool:
            found = await store.find(NODES, name)
            if found is None or node_objects.condition(found, "Ready") != "True":
                return False
            return before is None or (
                before.address in {None, _node(found).internal_ip}
                and await _heartbeat_of(name)(store) not in {None, before.heartbeat}
            )

        await self._until(master, ready, f"Node {name} is not Ready", deadline)

    async def mark_leaving(self, master: HostTarget, name: str, stage: Leaving | None) -> None:
        """Cordon a Node with our note on it, or take both away."""
        note = {naming.ANNOTATION_LEAVING: stage.value if stage else None}
        change = {"metadata": {"annotations": note}, "spec": {"unschedulable": True if stage else None}}

        async def mark(store: Store) -> None:
            await store.change(NODES, name, "", lambda old: _without_version(patch.merge(old, change)))

        await self._write(master, mark, f"{'cordon' if stage else 'uncordon'} Node {name}")

    async def load_of(self, master: HostTarget, node: str) -> NodeLoad:
        """Read what a Node carries."""

        async def read(store: Store) -> NodeLoad:
            pods, _ = await store.list(PODS)
            volumes, _ = await store.list(PERSISTENT_VOLUMES)
            nodes, _ = await store.list(NODES)
            return node_load.load(pods, volumes, nodes, node)

        return await self._again(master, read, f"read the pods of {node}")

    async def evict(self, master: HostTarget, pod: Pod) -> bool:
        """Ask a pod to end, if it is still this one; False while its disruption budget does not allow that."""
        what, allowed = f"evict {pod.namespace}/{pod.name}", True

        async def ask(store: Store) -> None:
            nonlocal allowed
            try:
                await evict(store, pod.namespace, pod.name, pod.uid)
            except ApiError as problem:
                allowed = problem.code != 429
                if problem.code not in (404, 409, 429):
                    raise

        await self._write(master, ask, what)
        return allowed

    async def apply(self, master: HostTarget, manifests: Sequence[Mapping[str, object]]) -> None:
        """Server-side apply objects, in order."""
        for manifest in manifests:
            await self._write(master, _applying(dict(manifest)), f"apply {manifest['kind']}")

    async def close(self) -> None:
        """Drop all connections."""

    async def _write(self, master: HostTarget, write: Callable[[Store], Awaitable[None]], what: str) -> None:
        """Do a write that may be done twice, again for a while where the API does not answer."""
        self.writes.append(what)
        self._moments.pass_by(f"before {what}")
        await self._again(master, write, what, fate=Fate.MAY_HAVE_HAPPENED)
        self._moments.pass_by(f"after {what}")

    async def _again(
        self,
        master: HostTarget,
        call: Callable[[Store], Awaitable[T]],
        what: str,
        within: float = _PERSIST,
        passes: Callable[[KubeError], bool] = lambda _: True,
        *,
        fate: Fate = Fate.DID_NOT_HAPPEN,
    ) -> T:
        ends = asyncio.get_running_loop().time() + within
        while True:
            try:
                return await self._call(master, call, what, fate=fate)
            except KubeError as failure:
                if not passes(failure) or asyncio.get_running_loop().time() >= ends:
                    raise
            await asyncio.sleep(_POLL)

    async def _until(
        self, master: HostTarget, look: Callable[[Store], Awaitable[bool]], what: str, within: float
    ) -> None:
        ends = asyncio.get_running_loop().time() + within
        complaint = ""
        while True:
            try:
                if await self._call(master, look, "look", fate=Fate.DID_NOT_HAPPEN):
                    return
            except KubeError as failure:
                complaint = f" ({failure})"
            if asyncio.get_running_loop().time() >= ends:
                raise DeadlineExceeded(f"{what} after {within:.0f} s, as {master.name} sees it{complaint}")
            await asyncio.sleep(_POLL)

    async def _call(self, master: HostTarget, call: Callable[[Store], Awaitable[T]], what: str, *, fate: Fate) -> T:
        try:
            host = await self._hosts.reach(master)
        except HostError as failure:
            raise KubeError(f"cannot {what}: {failure}", server=master.name, fate=Fate.DID_NOT_HAPPEN) from failure
        await asyncio.sleep(self._chance.uniform(*_ANSWER))
        self._moments.check()
        server = host.server
        if server is None or server.store is None or not server.api_ready:
            raise KubeError(f"{master.name}: cannot {what}: 503", server=master.name, fate=Fate.DID_NOT_HAPPEN)
        if host.site.now() < server.storage_at:
            why = f"{master.name}: cannot {what}: {INITIALIZING}"
            raise KubeError(why, server=master.name, fate=Fate.DID_NOT_HAPPEN)
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await call(server.store)
        except (TimeoutError, EtcdError, ApiError) as failure:
            refused = isinstance(failure, ApiError) and failure.code < 500
            raise KubeError(
                f"{master.name}: cannot {what}: {failure or 'timed out'}",
                server=master.name,
                fate=Fate.DID_NOT_HAPPEN if refused else fate,
            ) from failure


def _is_initializing(failure: KubeError) -> bool:
    return INITIALIZING in str(failure)


def _without_k3s_finalizers(old: Obj) -> Obj:
    if "deletionTimestamp" not in old["metadata"]:
        return old
    return without_finalizer(without_finalizer(old, ETCD_FINALIZER), NODE_FINALIZER)


async def _view(store: Store) -> KubeView:
    namespace = await store.get(NAMESPACES, _NAMESPACE)
    nodes, _ = await store.list(NODES)
    secrets, _ = await store.list(SECRETS, _NAMESPACE)
    charts, _ = await store.list(HELM_CHARTS, _NAMESPACE)
    ours = await store.find(CONFIGMAPS, _OURS, _NAMESPACE)
    suffix = node_password.secret_name("")
    names = (secret["metadata"]["name"] for secret in secrets)
    return KubeView(
        uid=namespace["metadata"]["uid"],
        nodes=tuple(_node(found) for found in nodes),
        node_passwords=tuple(name.removesuffix(suffix) for name in names if name.endswith(suffix)),
        lineage=(ours.get("data") or {}).get("lineage") if ours else None,
        addons=_digests(charts),
        credentials=next((_credentials(s) for s in secrets if s["metadata"]["name"] == _CREDENTIALS), None),
    )


def _heartbeat_of(name: str) -> Callable[[Store], Awaitable[str | None]]:
    async def read(store: Store) -> str | None:
        renewed = (await beats(store)).get(name)
        return None if renewed is None else str(renewed)

    return read


def _credentials(secret: Obj) -> Credentials | None:
    data, annotations = secret.get("data") or {}, secret["metadata"].get("annotations") or {}
    if not {"token", "network"} <= data.keys():
        return None
    token, network = (base64.b64decode(data[key]).decode() for key in ("token", "network"))
    who = annotations.get(naming.ANNOTATION_APPLIED_BY)
    return Credentials(token=Secret(token), network=network, applied_by=who)


def _node(found: Obj) -> KubeNode:
    metadata = found["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    addresses = {row["type"]: row["address"] for row in found.get("status", {}).get("addresses", ())}
    number = annotations.get(naming.ANNOTATION_SERVER_ID, "")
    voter = node_objects.condition(found, "EtcdIsVoter")
    return KubeNode(
        name=metadata["name"],
        uid=metadata["uid"],
        ready=node_objects.condition(found, "Ready") == "True",
        control_plane="node-role.kubernetes.io/control-plane" in labels,
        server_id=int(number) if number.isdecimal() else None,
        provider_id=found.get("spec", {}).get("providerID") or None,
        internal_ip=addresses.get("InternalIP"),
        voter=voter == "True" if voter else None,
        deleting="deletionTimestamp" in metadata,
        leaving=leaving_of(
            annotations.get(naming.ANNOTATION_LEAVING),
            unschedulable=bool(found.get("spec", {}).get("unschedulable")),
        ),
        created=datetime.fromisoformat(metadata["creationTimestamp"]).timestamp(),
        uninitialized=is_waiting(found),
        encryption=annotations.get(naming.ANNOTATION_ENCRYPTION),
        labels=labels,
        taints=node_labels.taints_of(found),
        applied=read_note(metadata["name"], annotations, labels),
    )


def _digests(objects: Sequence[Obj]) -> dict[str, str]:
    digests = {o["metadata"]["name"]: (o["metadata"].get("annotations") or {}).get(_DIGEST) for o in objects}
    return {name: digest for name, digest in digests.items() if digest is not None}


def _applying(manifest: dict[str, Any]) -> Callable[[Store], Awaitable[None]]:
    resource = _KINDS[manifest["kind"]]
    name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace", "")

    async def apply(store: Store) -> None:
        if await store.find(resource, name, namespace) is None:
            await store.create(resource, manifest, namespace)
        else:
            await store.change(resource, name, namespace, lambda old: _without_version(patch.apply(old, manifest)))

    return apply


def _without_version(obj: Obj) -> Obj:
    """Let a patch fit whatever version the object has by now."""
    return obj | {"metadata": {key: value for key, value in obj["metadata"].items() if key != "resourceVersion"}}
