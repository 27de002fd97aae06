"""`ports.Kube` over HTTP: one client a master, through an SSH forward to its own 127.0.0.1:6443.

So it works whatever the firewall says and whatever the load balancer thinks. The admin kubeconfig is read over verified
SSH and kept in memory; the server's certificate is checked against its CA.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar, cast

import httpx2

from hetzner_k3s.adapters import (
    kube_charts,
    kube_history,
    kube_leaving,
    kube_load,
    kube_nodes,
    kube_objects,
    kube_of_2x,
    kube_volumes,
)
from hetzner_k3s.adapters.kube_session import APPLY, MERGE, Session, Transport, over_tls, path_of
from hetzner_k3s.adapters.kube_sessions import Forwarder, Sessions
from hetzner_k3s.model import kube as model
from hetzner_k3s.model.errors import DeadlineExceeded, Fate, HostError, KubeError
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import BeforeStart, KubeView, Leaving, NamedVolumes, NodeLoad
from hetzner_k3s.model.kubernetes.addons_of_2x import AddonFound, ObjectName
from hetzner_k3s.model.kubernetes.node_labels import NodeChange
from hetzner_k3s.model.kubernetes.run_history import PastRun, RunHistory
from hetzner_k3s.model.text.documents import Malformed
from hetzner_k3s.ports import Clock, Hosts

T = TypeVar("T")

_NAMESPACE: Final = "kube-system"
_OURS: Final = "hetzner-k3s"
"""The field manager, and the name of the ConfigMap with the lineage."""
_CREDENTIALS: Final = "hcloud"
_PERSIST: Final = 60.0
"""Seconds for which a repeatable write is tried: an API that just started knows its CRDs only a little later."""
_INITIALIZES: Final = 10.0
"""Seconds that a look gives an API which says that its storage is being initialized; others are looked at again."""
_GONE_WITHIN: Final = 90.0
"""A Node's finalizer waits for a leader of k3s' etcd controller: 45 s were seen (docs/facts/k3s.md#node-delete)."""
_GOES_WITHIN: Final = 10.0
_K3S_RELEASES_WITHIN: Final = 3.0
"""0.8 s were seen where its controller has a leader; where it has none, nobody needs to wait until it has."""
_K3S_FINALIZERS: Final = ("wrangler.cattle.io/managed-etcd-controller", "wrangler.cattle.io/node")
_UNINSTALLED_WITHIN: Final = 180.0
"""A pod of k3s' helm controller does it, and its image may have to be pulled."""
_ENDED_WITHIN: Final = 120.0
"""A pod is given 30 s to end, a host that swaps some more."""
_POLL: Final = 0.5
_SECRETS: Final = path_of("secrets", namespace=_NAMESPACE)
_LINEAGE: Final = path_of("configmaps", _OURS, namespace=_NAMESPACE)


class K3sApi:
    """`ports.Kube`; see there for what each method does.

    Args:
        hosts: reads each master's admin kubeconfig.
        forwarder: the SSH adapter, as is `hosts`.
        clock: for waits and deadlines.
        transport: what carries HTTP to `https://127.0.0.1:PORT` for a client with this kubeconfig.
    """

    def __init__(self, *, hosts: Hosts, forwarder: Forwarder, clock: Clock, transport: Transport = over_tls) -> None:
        self._clock = clock
        self._sessions = Sessions(hosts, forwarder, transport)

    async def view(self, master: HostTarget) -> KubeView:
        """Read everything in five requests at once."""

        async def read(session: Session) -> KubeView:
            namespace, nodes, secrets, lineage, charts = await asyncio.gather(
                session.get(path_of("namespaces", _NAMESPACE)),
                session.listed(path_of("nodes")),
                session.listed(_SECRETS),
                session.find(_LINEAGE),
                _none_if_404(session.listed(kube_charts.CHARTS)),
            )
            credentials = [secret for secret in secrets if kube_objects.name_of(secret) == _CREDENTIALS]
            return KubeView(
                uid=namespace.child("metadata").text("uid"),
                nodes=tuple(sorted(map(kube_objects.node, nodes), key=lambda node: node.name)),
                node_passwords=kube_objects.node_passwords(secrets),
                lineage=lineage.child_or_empty("data").optional_text("lineage") if lineage else None,
                addons=kube_objects.digests(charts or ()),
                credentials=next(map(kube_objects.credentials, credentials), None),
            )

        return await self._again(master, read, "read the cluster", _is_initializing, _INITIALIZES)

    async def delete_node(self, master: HostTarget, name: str, uid: str, *, release: bool = False) -> None:
        """Delete a Node if it still has this UID, and wait until it is gone."""
        await self._persist(master, kube_nodes.deleting(name, uid), f"delete Node {name}")
        if release:
            await self._release(master, name, uid)
        await self._until(
            master, kube_nodes.gone(name, uid), f"Node {name}, kept by finalizers, is still there", _GONE_WITHIN
        )

    async def drop_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Delete a Node if it still has this UID, then its finalizers: one that is being deleted gets no new ones."""

        async def release(session: Session) -> None:
            if not await kube_nodes.gone(name, uid)(session):
                patch = {"metadata": {"uid": uid, "finalizers": None}}
                await _none_if_404(kube_nodes.patch(session, name, patch))

        await self._persist(master, kube_nodes.deleting(name, uid), f"delete Node {name}")
        await self._persist(master, release, f"take the finalizers off Node {name}")
        await self._until(master, kube_nodes.gone(name, uid), f"Node {name} is still there", _GOES_WITHIN)

    async def delete_node_password(self, master: HostTarget, name: str) -> None:
        """Delete the Secret that ties a node's name to its password."""

        async def delete(session: Session) -> None:
            path = path_of("secrets", kube_objects.password_of(name), namespace=_NAMESPACE)
            await _none_if_404(session.send("DELETE", path))

        await self._persist(master, delete, f"delete the node password of {name}")

    async def annotate_node(
        self, master: HostTarget, name: str, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        """Set annotations and labels on a Node."""
        patch = {"metadata": {"annotations": dict(annotations), "labels": dict(labels)}}

        async def annotate(session: Session) -> None:
            await kube_nodes.patch(session, name, patch)

        await self._persist(master, annotate, f"annotate Node {name}")

    async def label_node(self, master: HostTarget, name: str, uid: str, change: NodeChange) -> None:
        """Read the Node and patch that very version of it; where somebody else was faster, read it again."""
        path = path_of("nodes", name)

        async def label(session: Session) -> None:
            found = await session.find(path)
            if found is not None and kube_objects.node(found).uid == uid:
                patch = kube_objects.relabelled(found, change)
                await session.send("PATCH", path, patch, MERGE, {"fieldManager": _OURS})

        await self._persist(master, label, f"set labels and taints of Node {name}")

    async def last_heartbeat(self, master: HostTarget, name: str) -> str | None:
        """Read when a Node's lease was last renewed."""
        return await self._again(
            master, kube_nodes.heartbeat_of(name), f"read the lease of {name}", _is_transient, _PERSIST
        )

    async def wait_node_ready(
        self, master: HostTarget, name: str, deadline: float, before: BeforeStart | None = None
    ) -> None:
        """Look at a Node until it is Ready; an API that does not answer in between is asked again."""

        async def ready(session: Session) -> bool:
            found = await session.find(path_of("nodes", name))
            node = kube_objects.node(found) if found else None
            if node is None or not node.ready:
                return False
            return before is None or (
                before.address in {None, node.internal_ip}
                and await kube_nodes.heartbeat_of(name)(session) not in {None, before.heartbeat}
            )

        await self._until(master, ready, f"Node {name} is not Ready", deadline)

    async def mark_leaving(self, master: HostTarget, name: str, stage: Leaving | None) -> None:
        """Read the Node and mark that very version of it; where somebody else was faster, read it again."""

        async def mark(session: Session) -> None:
            await kube_leaving.mark(session, name, stage)

        await self._persist(master, mark, f"{'cordon' if stage else 'uncordon'} Node {name}")

    async def load_of(self, master: HostTarget, node: str) -> NodeLoad:
        """Read a Node's pods, and the bound volumes that no other Node can reach."""

        async def read(session: Session) -> NodeLoad:
            pods, volumes, nodes = await asyncio.gather(
                session.listed(path_of("pods"), fieldSelector=f"spec.nodeName={node}"),
                session.listed(path_of("persistentvolumes")),
                session.listed(path_of("nodes")),
            )
            return kube_load.load(pods, volumes, nodes, node)

        return await self._again(master, read, f"read the pods of {node}", _is_transient, _PERSIST)

    async def evict(self, master: HostTarget, pod: model.Pod) -> bool:
        """Ask a pod to end; an API that is too busy counts as a budget that says no: it is asked again."""
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": {"preconditions": {"uid": pod.uid}},
        }

        async def ask(session: Session) -> bool:
            path = path_of("pods", pod.name, namespace=pod.namespace) + "/eviction"
            try:
                await session.send("POST", path, body)
            except httpx2.HTTPStatusError as refused:
                if refused.response.status_code == 429:
                    return False
                if refused.response.status_code not in (404, 409):  # gone, or another pod has the name by now
                    raise
            return True

        return await self._call(master, ask, f"evict {pod.namespace}/{pod.name}", fate=Fate.MAY_HAVE_HAPPENED)

    async def apply(self, master: HostTarget, manifests: Sequence[Mapping[str, object]]) -> None:
        """Server-side apply objects, in order."""
        for manifest in manifests:
            await self._apply_one(master, manifest)

    async def dependents(self, master: HostTarget, chart: str) -> tuple[str, ...]:
        """Name what needs a chart of ours."""
        return await self._call(
            master,
            lambda session: kube_charts.dependents(session, chart),
            f"read what needs {chart}",
            fate=Fate.DID_NOT_HAPPEN,
        )

    async def named_volumes(self, master: HostTarget) -> NamedVolumes:
        """Read which of Hetzner's volumes the cluster names; an API that does not answer is not waited for."""
        return await self._call(master, kube_volumes.named, "read the volumes", fate=Fate.DID_NOT_HAPPEN)

    async def remove_chart(self, master: HostTarget, name: str, digest: str) -> None:
        """Delete a HelmChart, and wait until it is uninstalled."""
        await self._persist(
            master, lambda session: kube_charts.delete(session, name, digest), f"delete HelmChart {name}"
        )
        await self._until(
            master,
            lambda session: kube_charts.is_gone(session, name, digest),
            f"k3s has not uninstalled HelmChart {name}",
            _UNINSTALLED_WITHIN,
        )

    async def addon_of_2x(self, master: HostTarget, chart: str) -> AddonFound:
        """Read what there is under the names of an add-on that 2.x applies."""
        return await self._call(
            master, lambda session: kube_of_2x.found(session, chart), f"read {chart}", fate=Fate.DID_NOT_HAPPEN
        )

    async def clear_way(self, master: HostTarget, chart: str, workloads: Mapping[ObjectName, str]) -> None:
        """Delete what a chart could not change, each when nothing uses it any more; hand over what must stay."""
        await self._persist(master, lambda session: kube_of_2x.hand_over(session, chart), f"hand what stays to {chart}")
        for name, uid in workloads.items():
            await self._persist(master, kube_of_2x.deleting(name, uid), f"delete {name}")
        for name, uid in workloads.items():
            await self._until(master, kube_of_2x.gone(name, uid), f"{name}: its pods have not ended", _ENDED_WITHIN)
        await self._persist(
            master, lambda session: kube_of_2x.delete_beside(session, chart), f"delete the rights of the old {chart}"
        )

    async def past_runs(self, master: HostTarget) -> RunHistory:
        """Read the last runs that changed the cluster."""
        return await self._call(master, kube_history.read, "read the last runs", fate=Fate.DID_NOT_HAPPEN)

    async def note_run(self, master: HostTarget, run: PastRun) -> None:
        """Add a run to them."""

        async def note(session: Session) -> None:
            await kube_history.note(session, run)

        await self._call(master, note, "note this run", fate=Fate.MAY_HAVE_HAPPENED)

    async def close(self) -> None:
        """Drop all connections."""
        await self._sessions.close()

    async def _release(self, master: HostTarget, name: str, uid: str) -> None:
        """Take k3s' own finalizers off a Node that is being deleted and does not go at once; those of others stay."""

        async def release(session: Session) -> None:
            found = await session.find(path_of("nodes", name))
            node = kube_objects.node(found) if found else None
            if found is None or node is None or node.uid != uid or not node.deleting:
                return
            metadata = found.child("metadata")
            kept = [finalizer for finalizer in metadata.texts("finalizers") if finalizer not in _K3S_FINALIZERS]
            version = metadata.text("resourceVersion")
            patch = {"metadata": {"uid": uid, "resourceVersion": version, "finalizers": kept}}
            await kube_nodes.patch(session, name, patch)

        try:
            await self._until(master, kube_nodes.gone(name, uid), f"Node {name} is still there", _K3S_RELEASES_WITHIN)
        except DeadlineExceeded:
            await self._persist(master, release, f"take k3s' finalizers off Node {name}")

    async def _apply_one(self, master: HostTarget, manifest: Mapping[str, object]) -> None:
        kind, metadata = str(manifest["kind"]), cast(Mapping[str, str], manifest["metadata"])
        path = path_of(
            f"{kind.lower()}s",
            metadata["name"],
            namespace=metadata.get("namespace"),
            group=str(manifest["apiVersion"]),
        )

        async def apply(session: Session) -> None:
            await session.send("PATCH", path, manifest, APPLY, {"fieldManager": _OURS, "force": "true"})

        await self._persist(master, apply, f"apply {kind} {metadata['name']}")

    async def _persist(self, master: HostTarget, write: Callable[[Session], Awaitable[None]], what: str) -> None:
        """Do a write that may be done twice, again for a while where the API does not answer or know the kind yet."""
        await self._again(master, write, what, _is_transient, _PERSIST, fate=Fate.MAY_HAVE_HAPPENED)

    async def _again(
        self,
        master: HostTarget,
        call: Callable[[Session], Awaitable[T]],
        what: str,
        passes: Callable[[BaseException | None], bool],
        within: float,
        *,
        fate: Fate = Fate.DID_NOT_HAPPEN,
    ) -> T:
        """Call again, for so many seconds, while the failure is one that passes by itself."""
        ends = self._clock.monotonic() + within
        while True:
            try:
                return await self._call(master, call, what, fate=fate)
            except KubeError as failure:
                if not passes(failure.__cause__) or self._clock.monotonic() >= ends:
                    raise
            await self._clock.sleep(_POLL)

    async def _until(
        self, master: HostTarget, look: Callable[[Session], Awaitable[bool]], what: str, within: float
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

    async def _call(self, master: HostTarget, call: Callable[[Session], Awaitable[T]], what: str, *, fate: Fate) -> T:
        try:
            return await self._sessions.use(master, call)
        except HostError as failure:
            message = f"cannot {what}: {failure}"
            raise KubeError(message, server=master.name, fate=Fate.DID_NOT_HAPPEN) from failure
        except (httpx2.HTTPError, OSError) as failure:
            refused = isinstance(failure, httpx2.HTTPStatusError) and failure.response.status_code < 500
            message = f"{master.name}: cannot {what}: {failure or type(failure).__name__}"
            fate = Fate.DID_NOT_HAPPEN if refused else fate
            raise KubeError(message, server=master.name, fate=fate) from failure
        except (Malformed, ValueError) as problem:  # ValueError: certificates that are none
            message = f"{master.name}: cannot {what}: the answer of its API cannot be read: {problem}"
            raise KubeError(message, server=master.name, fate=fate) from None


async def _none_if_404(read: Awaitable[T]) -> T | None:
    try:
        return await read
    except httpx2.HTTPStatusError as failure:
        if failure.response.status_code == 404:
            return None
        raise


def _is_initializing(failure: BaseException | None) -> bool:
    """Check whether an API has just started: for a moment it answers 429, "storage is (re)initializing"."""
    return isinstance(failure, httpx2.HTTPStatusError) and failure.response.status_code == 429


def _is_transient(failure: BaseException | None) -> bool:
    """Check whether trying again makes sense: no answer, an API that starts, a kind or object not there yet."""
    if isinstance(failure, httpx2.HTTPStatusError):
        code = failure.response.status_code
        return code >= 500 or code in (404, 409, 429)
    return isinstance(failure, (httpx2.TransportError, OSError))
