"""`ports.Kube` over lightkube: one client a master, through an SSH forward to its own 127.0.0.1:6443.

So it works whatever the firewall says and whatever the load balancer thinks. The admin kubeconfig is read over verified
SSH and kept in memory; the server's certificate is checked against its CA.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, cast

import httpx2
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.codecs import from_dict
from lightkube.config.client_adapter import AsyncClient as HttpClient
from lightkube.config.client_adapter import ConnectionParams
from lightkube.core.exceptions import LoadResourceError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.resources.coordination_v1 import Lease
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, PersistentVolume, Pod, Secret
from lightkube.types import PatchType
from ruamel.yaml import YAML

from hetzner_k3s.model import kube as model
from hetzner_k3s.model import naming
from hetzner_k3s.model.contact import HostTarget
from hetzner_k3s.model.errors import DeadlineExceeded, Fate, HostError, KubeError
from hetzner_k3s.model.kube import UNINITIALIZED, BeforeStart, KubeNode, KubeView, Leaving, NodeLoad, leaving_of
from hetzner_k3s.model.operations import ReadSecret, SecretKind
from hetzner_k3s.ports import Clock, Hosts

T = TypeVar("T")

HelmChart = create_namespaced_resource("helm.cattle.io", "v1", "HelmChart", "helmcharts")

_API_PORT: Final = 6443
_NAMESPACE: Final = "kube-system"
_NODE_LEASES: Final = "kube-node-lease"
_OURS: Final = "hetzner-k3s"
"""The field manager, and the name of the ConfigMap with the lineage."""
_CREDENTIALS: Final = "hcloud"
_ANNOTATION_DIGEST: Final = "hetzner-k3s/digest"
_MIRROR: Final = "kubernetes.io/config.mirror"
_HOSTNAME: Final = "kubernetes.io/hostname"
_NODE_PASSWORD: Final = ".node-password.k3s"
_TIMEOUT: Final = 10.0
_PERSIST: Final = 60.0
"""Seconds for which a repeatable write is tried: an API that just started knows its CRDs only a little later."""
_GONE_WITHIN: Final = 90.0
"""A Node's finalizer waits for a leader of k3s' etcd controller: 45 s were seen (K3S_RUN_FACTS.md)."""
_GOES_WITHIN: Final = 10.0
_K3S_FINALIZERS: Final = ("wrangler.cattle.io/managed-etcd-controller", "wrangler.cattle.io/node")
_POLL: Final = 0.5


class Forwarder(Protocol):
    """What makes a port of a master reachable here; raises `HostError`."""

    async def forward(self, target: HostTarget, port: int) -> int:
        """Give a port of 127.0.0.1 here that leads to `port` of 127.0.0.1 there."""
        ...


@dataclass(frozen=True, slots=True)
class _Session:
    """The clients of one master: lightkube's, and a plain one for what lightkube cannot say."""

    port: int
    client: AsyncClient
    http: httpx2.AsyncClient

    async def close(self) -> None:
        await self.client.close()
        await self.http.aclose()


class K3sApi:
    """`ports.Kube`; see there for what each method does. `forwarder` is the SSH adapter, as is `hosts`."""

    def __init__(self, *, hosts: Hosts, forwarder: Forwarder, clock: Clock) -> None:
        self._hosts = hosts
        self._forwarder = forwarder
        self._clock = clock
        self._sessions: dict[int, _Session] = {}
        self._opening: dict[int, asyncio.Lock] = {}

    async def view(self, master: HostTarget) -> KubeView:
        """Read everything in five requests at once."""

        async def read(session: _Session) -> KubeView:
            client = session.client
            namespace, nodes, secrets, config_map, charts = await asyncio.gather(
                client.get(Namespace, _NAMESPACE),
                _listed(client, Node),
                _listed(client, Secret, namespace=_NAMESPACE),
                _or_none(client.get(ConfigMap, _OURS, namespace=_NAMESPACE)),
                _or_none(_listed(client, HelmChart, namespace=_NAMESPACE)),
            )
            return KubeView(
                uid=namespace.metadata.uid,
                nodes=tuple(sorted((_node(node) for node in nodes), key=lambda node: node.name)),
                node_passwords=_node_passwords(secrets),
                lineage=(config_map.data or {}).get("lineage") if config_map else None,
                addons=_digests([*(s for s in secrets if s.metadata.name == _CREDENTIALS), *(charts or ())]),
            )

        return await self._call(master, read, "read the cluster", fate=Fate.DID_NOT_HAPPEN)

    async def delete_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Delete a Node if it still has this UID, and wait until it is gone."""
        await self._persist(master, _deleting(name, uid), f"delete Node {name}")
        await self._until(master, _gone(name, uid), f"Node {name} is still there, so its finalizers are", _GONE_WITHIN)

    async def drop_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Delete a Node if it still has this UID, then its finalizers: one that is being deleted gets no new ones."""

        async def release(session: _Session) -> None:
            if not await _gone(name, uid)(session):
                patch = {"metadata": {"uid": uid, "finalizers": None}}
                await _or_none(session.client.patch(Node, name, patch, patch_type=PatchType.MERGE))

        await self._persist(master, _deleting(name, uid), f"delete Node {name}")
        await self._persist(master, release, f"take the finalizers off Node {name}")
        await self._until(master, _gone(name, uid), f"Node {name} is still there", _GOES_WITHIN)

    async def release_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Take k3s' own finalizers off a Node that is being deleted; those of others stay."""

        async def release(session: _Session) -> None:
            node = await _or_none(session.client.get(Node, name))
            if node is None or _node(node).uid != uid or not _node(node).deleting:
                return
            metadata: Any = node.metadata
            kept = [finalizer for finalizer in metadata.finalizers or [] if finalizer not in _K3S_FINALIZERS]
            patch = {"metadata": {"uid": uid, "resourceVersion": metadata.resourceVersion, "finalizers": kept}}
            await session.client.patch(Node, name, patch, patch_type=PatchType.MERGE)

        try:
            await self._until(master, _gone(name, uid), f"Node {name} is still there", _GOES_WITHIN)
        except DeadlineExceeded:
            await self._persist(master, release, f"take k3s' finalizers off Node {name}")

    async def delete_node_password(self, master: HostTarget, name: str) -> None:
        """Delete the Secret that ties a node's name to its password."""

        async def delete(session: _Session) -> None:
            await _or_none(session.client.delete(Secret, f"{name}{_NODE_PASSWORD}", namespace=_NAMESPACE))

        await self._persist(master, delete, f"delete the node password of {name}")

    async def annotate_node(self, master: HostTarget, name: str, annotations: Mapping[str, str]) -> None:
        """Set annotations on a Node."""
        patch = {"metadata": {"annotations": dict(annotations)}}

        async def annotate(session: _Session) -> None:
            await session.client.patch(Node, name, patch, patch_type=PatchType.MERGE)

        await self._persist(master, annotate, f"annotate Node {name}")

    async def last_heartbeat(self, master: HostTarget, name: str) -> str | None:
        """Read when a Node's lease was last renewed."""
        return await self._call(master, _heartbeat_of(name), f"read the lease of {name}", fate=Fate.DID_NOT_HAPPEN)

    async def wait_node_ready(
        self, master: HostTarget, name: str, deadline: float, before: BeforeStart | None = None
    ) -> None:
        """Look at a Node until it is Ready; an API that does not answer in between is asked again."""

        async def ready(session: _Session) -> bool:
            node = await _or_none(session.client.get(Node, name))
            if node is None or not _node(node).ready:
                return False
            return before is None or (
                before.address in {None, _node(node).internal_ip}
                and await _heartbeat_of(name)(session) not in {None, before.heartbeat}
            )

        await self._until(master, ready, f"Node {name} is not Ready", deadline)

    async def mark_leaving(self, master: HostTarget, name: str, stage: Leaving | None) -> None:
        """Cordon a Node with our note on it, or take both away."""
        note = {naming.ANNOTATION_LEAVING: stage.value if stage else None}
        patch = {"metadata": {"annotations": note}, "spec": {"unschedulable": True if stage else None}}

        async def mark(session: _Session) -> None:
            await session.client.patch(Node, name, patch, patch_type=PatchType.MERGE)

        await self._persist(master, mark, f"{'cordon' if stage else 'uncordon'} Node {name}")

    async def load_of(self, master: HostTarget, node: str) -> NodeLoad:
        """Read a Node's pods, and the bound volumes that no other Node can reach."""

        async def read(session: _Session) -> NodeLoad:
            pods, volumes = await asyncio.gather(
                _listed(session.client, Pod, namespace="*", fields={"spec.nodeName": node}),
                _listed(session.client, PersistentVolume),
            )
            return NodeLoad(pods=tuple(map(_pod, pods)), local_claims=_local_claims(volumes, node))

        return await self._call(master, read, f"read the pods of {node}", fate=Fate.DID_NOT_HAPPEN)

    async def evict(self, master: HostTarget, pod: model.Pod) -> bool:
        """Ask a pod to end; an API that is too busy counts as a budget that says no: it is asked again."""
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }

        async def ask(session: _Session) -> bool:
            answer = await session.http.request("POST", path, json=body)
            if answer.status_code in (404, 409):  # gone, or another pod has the name by now
                return True
            if answer.status_code == 429:
                return False
            answer.raise_for_status()
            return True

        return await self._call(master, ask, f"evict {pod.namespace}/{pod.name}", fate=Fate.MAY_HAVE_HAPPENED)

    async def apply(self, master: HostTarget, manifests: Sequence[Mapping[str, object]]) -> None:
        """Server-side apply objects, in order."""
        for manifest in manifests:
            await self._apply_one(master, manifest)

    async def close(self) -> None:
        """Drop all connections."""
        sessions = list(self._sessions.values())
        self._sessions.clear()
        await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)

    async def _apply_one(self, master: HostTarget, manifest: Mapping[str, object]) -> None:
        what = f"apply {manifest['kind']} {cast(Mapping[str, str], manifest['metadata'])['name']}"
        try:
            resource = from_dict(dict(manifest))
        except LoadResourceError as unknown:
            raise KubeError(f"cannot {what}: {unknown}", server=master.name, fate=Fate.DID_NOT_HAPPEN) from unknown

        async def apply(session: _Session) -> None:
            await session.client.apply(resource, field_manager=_OURS, force=True)

        await self._persist(master, apply, what)

    async def _persist(self, master: HostTarget, write: Callable[[_Session], Awaitable[None]], what: str) -> None:
        """Do a write that may be done twice, again for a while where the API does not answer or know the kind yet."""
        ends = self._clock.monotonic() + _PERSIST
        while True:
            try:
                return await self._call(master, write, what, fate=Fate.MAY_HAVE_HAPPENED)
            except KubeError as failure:
                if not _is_passing(failure.__cause__) or self._clock.monotonic() >= ends:
                    raise
            await self._clock.sleep(_POLL)

    async def _until(
        self, master: HostTarget, look: Callable[[_Session], Awaitable[bool]], what: str, within: float
    ) -> None:
        ends = self._clock.monotonic() + within
        complaint = ""
        while True:
            try:
                if await self._call(master, look, "look", fate=Fate.DID_NOT_HAPPEN):
                    return
            except KubeError as failure:
                complaint = f" ({failure})"
            if self._clock.monotonic() >= ends:
                raise DeadlineExceeded(
                    f"{what} after {within:.0f} s, as {master.name} sees it{complaint}", hint="Run the command again."
                )
            await self._clock.sleep(_POLL)

    async def _call(self, master: HostTarget, call: Callable[[_Session], Awaitable[T]], what: str, *, fate: Fate) -> T:
        try:
            return await call(await self._session(master))
        except HostError as failure:
            message = f"cannot {what}: {failure}"
            raise KubeError(message, server=master.name, fate=Fate.DID_NOT_HAPPEN) from failure
        except (httpx2.HTTPError, OSError) as failure:
            refused = isinstance(failure, httpx2.HTTPStatusError) and failure.response.status_code < 500
            message = f"{master.name}: cannot {what}: {failure or type(failure).__name__}"
            fate = Fate.DID_NOT_HAPPEN if refused else fate
            raise KubeError(message, server=master.name, fate=fate) from failure

    async def _session(self, master: HostTarget) -> _Session:
        async with self._opening.setdefault(master.server_id, asyncio.Lock()):
            port = await self._forwarder.forward(master, _API_PORT)
            session = self._sessions.get(master.server_id)
            if session is not None and session.port == port:
                return session
            if session is not None:
                await session.close()
            kubeconfig = await self._hosts.perform(master, ReadSecret(kind=SecretKind.KUBECONFIG))
            self._sessions[master.server_id] = opened = _open(kubeconfig.reveal(), port)
            return opened


def _open(kubeconfig: str, port: int) -> _Session:
    """Make the clients from a master's own admin kubeconfig, whose server is 127.0.0.1 already."""
    document = YAML(typ="safe", pure=True).load(kubeconfig)
    for entry in document["clusters"]:
        entry["cluster"]["server"] = f"https://127.0.0.1:{port}"
    config = KubeConfig.from_dict(document).get(document["current-context"])
    assert config is not None  # a context that was asked for by name is there, or it is an error
    timeout = httpx2.Timeout(_TIMEOUT)
    client = AsyncClient(config=config, timeout=timeout, trust_env=False)
    return _Session(port, client, HttpClient(config, ConnectionParams(timeout=timeout, trust_env=False)))


def _heartbeat_of(name: str) -> Callable[[_Session], Awaitable[str | None]]:
    """Make the look at the lease that a Node's kubelet renews every ten seconds."""

    async def read(session: _Session) -> str | None:
        lease = await _or_none(session.client.get(Lease, name, namespace=_NODE_LEASES))
        return str(lease.spec.renewTime) if lease is not None and lease.spec and lease.spec.renewTime else None

    return read


def _deleting(name: str, uid: str) -> Callable[[_Session], Awaitable[None]]:
    """Make the request that deletes a Node, unless it is gone or another Node has its name by now."""

    async def delete(session: _Session) -> None:
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}}
        answer = await session.http.request("DELETE", f"/api/v1/nodes/{name}", json=body)
        if answer.status_code not in (404, 409):
            answer.raise_for_status()

    return delete


def _gone(name: str, uid: str) -> Callable[[_Session], Awaitable[bool]]:
    """Make the look whether this very Node is there no more."""

    async def gone(session: _Session) -> bool:
        node = await _or_none(session.client.get(Node, name))
        return node is None or _node(node).uid != uid

    return gone


async def _listed(client: AsyncClient, kind: Any, namespace: str | None = None, **more: Any) -> list[Any]:
    return [item async for item in client.list(kind, namespace=namespace, **more)]


async def _or_none(read: Awaitable[T]) -> T | None:
    """Take a 404 for an answer."""
    try:
        return await read
    except ApiError as failure:
        if failure.status.code == 404:
            return None
        raise


def _is_passing(failure: BaseException | None) -> bool:
    """Tell whether trying again makes sense: no answer, an API that starts, a kind or object not there yet."""
    if isinstance(failure, httpx2.HTTPStatusError):
        code = failure.response.status_code
        return code >= 500 or code in (404, 409, 429)
    return isinstance(failure, (httpx2.TransportError, OSError))


def _node(node: Any) -> KubeNode:
    metadata, status = node.metadata, node.status
    labels, annotations = metadata.labels or {}, metadata.annotations or {}
    conditions = {c.type: c.status == "True" for c in (status and status.conditions) or ()}
    addresses = {a.type: a.address for a in (status and status.addresses) or ()}
    server_id = annotations.get(naming.ANNOTATION_SERVER_ID, "")
    return KubeNode(
        name=metadata.name,
        uid=metadata.uid,
        ready=conditions.get("Ready", False),
        control_plane="node-role.kubernetes.io/control-plane" in labels,
        server_id=int(server_id) if server_id.isdecimal() else None,
        provider_id=(node.spec and node.spec.providerID) or None,
        internal_ip=addresses.get("InternalIP"),
        voter=conditions.get("EtcdIsVoter"),
        deleting=metadata.deletionTimestamp is not None,
        leaving=leaving_of(
            annotations.get(naming.ANNOTATION_LEAVING), unschedulable=bool(node.spec and node.spec.unschedulable)
        ),
        created=metadata.creationTimestamp.timestamp() if metadata.creationTimestamp else None,
        uninitialized=any(taint.key == UNINITIALIZED for taint in (node.spec and node.spec.taints) or ()),
        encryption=annotations.get(naming.ANNOTATION_ENCRYPTION),
        labels=labels,
    )


def _pod(pod: Any) -> model.Pod:
    metadata = pod.metadata
    owners = [owner.kind for owner in metadata.ownerReferences or () if owner.controller]
    return model.Pod(
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        controller=owners[0] if owners else None,
        mirror=_MIRROR in (metadata.annotations or {}),
        finished=bool(pod.status) and pod.status.phase in ("Succeeded", "Failed"),
        ending=metadata.deletionTimestamp is not None,
    )


def _local_claims(volumes: Sequence[Any], node: str) -> tuple[str, ...]:
    """Name the claims bound to volumes that only this Node can mount (k3s' local-path makes such)."""
    bound = (v.spec for v in volumes if v.spec and v.spec.claimRef and v.status and v.status.phase == "Bound")
    own = [spec.claimRef for spec in bound if _only_on(spec, node)]
    return tuple(sorted(f"{claim.namespace}/{claim.name}" for claim in own))


def _only_on(spec: Any, node: str) -> bool:
    required = spec.nodeAffinity.required if spec.nodeAffinity else None
    terms = required.nodeSelectorTerms if required else ()
    rules = [rule for term in terms for rule in term.matchExpressions or () if rule.key == _HOSTNAME]
    return any(rule.operator == "In" and list(rule.values or ()) == [node] for rule in rules)


def _node_passwords(secrets: Sequence[Any]) -> tuple[str, ...]:
    names = (secret.metadata.name for secret in secrets)
    return tuple(sorted(name.removesuffix(_NODE_PASSWORD) for name in names if name.endswith(_NODE_PASSWORD)))


def _digests(objects: Sequence[Any]) -> dict[str, str]:
    digests = {o.metadata.name: (o.metadata.annotations or {}).get(_ANNOTATION_DIGEST) for o in objects}
    return {name: digest for name, digest in digests.items() if digest is not None}
