"""Controllers about Nodes: finalizers, etcd members of deleted Nodes, node passwords, nodes that fell silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.resources import LEASES, NODES, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import timestamp
from hetzner_k3s.lab.k3s.control.watching import each
from hetzner_k3s.lab.k3s.etcd import membership
from hetzner_k3s.lab.k3s.etcd.port import Etcd, EtcdError
from hetzner_k3s.lab.k3s.logfmt import Log
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.k3s.trust import node_password

ETCD_FINALIZER = "wrangler.cattle.io/managed-etcd-controller"
NODE_FINALIZER = "wrangler.cattle.io/node"
NAME_ANNOTATION = "etcd.k3s.cattle.io/node-name"
ADDRESS_ANNOTATION = "etcd.k3s.cattle.io/node-address"
ETCD_ROLE = "node-role.kubernetes.io/etcd"
UNREACHABLE = "node.kubernetes.io/unreachable"


def with_finalizer(obj: Obj, name: str) -> Obj:
    """Add a finalizer."""
    names = obj["metadata"].get("finalizers") or []
    return obj | {"metadata": obj["metadata"] | {"finalizers": names if name in names else [*names, name]}}


def without_finalizer(obj: Obj, name: str) -> Obj:
    """Take a finalizer away."""
    names = [entry for entry in obj["metadata"].get("finalizers") or [] if entry != name]
    return obj | {"metadata": obj["metadata"] | {"finalizers": names}}


class Finalizer:
    """Holds every Node by one finalizer and does something before it lets a deleted one go.

    Args:
        store: the objects.
        finalizer: its name.
        log: takes what it has to say.
    """

    def __init__(self, store: Store, finalizer: str, log: Log) -> None:
        self._store, self._finalizer, self._log = store, finalizer, log

    async def run(self) -> None:
        """Follow the Nodes."""
        await each(self._store, NODES, self._handle, self._log)

    async def _handle(self, found: Obj) -> None:
        held = self._finalizer in (found["metadata"].get("finalizers") or [])
        deleted = "deletionTimestamp" in found["metadata"]
        if not deleted and not held:
            await self._edit(found, with_finalizer)
        elif deleted and held:
            await self.before_release(found)
            await self._edit(found, without_finalizer)

    async def _edit(self, found: Obj, edit: Callable[[Obj, str], Obj]) -> None:
        try:
            await self._store.change(NODES, found["metadata"]["name"], "", lambda old: edit(old, self._finalizer))
        except ApiError as problem:
            if problem.code != 404:
                raise

    async def before_release(self, found: Obj) -> None:
        """Do what must be done while the deleted Node still exists."""
        raise NotImplementedError


class MemberFinalizer(Finalizer):
    """Removes the etcd member of a deleted Node: `managed-etcd-controller`, under the lease `k3s-etcd`."""

    def __init__(self, store: Store, etcd: Etcd, log: Log = logfmt.write) -> None:
        super().__init__(store, ETCD_FINALIZER, log)
        self._etcd = etcd

    async def before_release(self, found: Obj) -> None:
        """Remove the Node's etcd member by name and address."""
        metadata = found["metadata"]
        if ETCD_ROLE not in (metadata.get("labels") or {}):
            return
        annotations = metadata.get("annotations") or {}
        name, address = annotations.get(NAME_ANNOTATION), annotations.get(ADDRESS_ANNOTATION)
        if not name or not address:
            raise EtcdError(f"node {metadata['name']} does not have etcd annotations")
        await remove_member(self._etcd, name, address, self._log)


async def remove_member(etcd: Etcd, name: str, address: str, log: Log) -> None:
    """Remove a member by name and address; one that is gone is success."""
    victim = membership.to_remove(await etcd.members(), name, address)
    if victim is None:
        return
    log(f"Removing name={name} id={victim.id} address={address} from etcd", "info")
    try:
        await etcd.remove(victim.id)
    except EtcdError as problem:
        if "member not found" not in problem.message:
            raise


class PasswordFinalizer(Finalizer):
    """Removes the node password of a deleted Node: `wrangler.cattle.io/node`, under the lease `k3s`."""

    def __init__(self, store: Store, log: Log = logfmt.write) -> None:
        super().__init__(store, NODE_FINALIZER, log)

    async def before_release(self, found: Obj) -> None:
        """Delete the Node's password secret."""
        try:
            await self._store.delete(SECRETS, node_password.secret_name(found["metadata"]["name"]), "kube-system")
        except ApiError as problem:
            if problem.code != 404:
                raise


async def announce_member(store: Store, name: str, member_name: str, address: str) -> None:
    """Label and annotate this server's own Node as an etcd member (the metadata controller)."""

    def edit(old: Obj) -> Obj:
        metadata = old["metadata"]
        marks = {NAME_ANNOTATION: member_name, ADDRESS_ANNOTATION: address}
        marks["etcd.k3s.cattle.io/local-snapshots-timestamp"] = timestamp(store.now())
        annotations = (metadata.get("annotations") or {}) | marks
        labels = (metadata.get("labels") or {}) | {ETCD_ROLE: "true"}
        return old | {"metadata": metadata | {"annotations": annotations, "labels": labels}}

    await store.change(NODES, name, "", edit)


class Heartbeats:
    """Remembers when each node's heartbeat was last seen to change, on the own clock.

    Args:
        grace: seconds without a change after which a node counts as silent.
    """

    def __init__(self, grace: float) -> None:
        self._grace = grace
        self._seen: dict[str, tuple[str, float]] = {}

    def silent(self, name: str, beat: str, now: float) -> bool:
        """Take a look at a node's heartbeat, and tell whether it has been silent for too long."""
        last, since = self._seen.get(name, (None, now))
        if last != beat:
            since = now
        self._seen[name] = (beat, since)
        return now - since >= self._grace


def declared_unknown(found: Obj, stamp: str) -> Obj:
    """Return a Node whose kubelet is silent with the conditions that say so."""
    status = found.get("status") or {}
    conditions = status.get("conditions", [])
    for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready"):
        text = "Kubelet stopped posting node status."
        conditions = node_object.with_condition(conditions, (kind, "Unknown", "NodeStatusUnknown", text), stamp)
    return found | {"status": status | {"conditions": conditions}}


class SilenceWatch:
    """Declares nodes unknown whose Lease is not renewed: the node lifecycle controller (kube-controller-manager).

    Args:
        store: the objects.
        grace: seconds of silence, counted on the own clock since a change was last seen.
    """

    def __init__(self, store: Store, grace: float) -> None:
        self._store, self._grace = store, grace
        self._heartbeats = Heartbeats(grace)

    async def run(self) -> None:
        """Look every few seconds."""
        while True:
            try:
                await self._look()
            except (ApiError, EtcdError) as problem:
                logfmt.error(f"error in node lifecycle: {problem}")
            await asyncio.sleep(min(5.0, self._grace / 4))

    async def _look(self) -> None:
        leases, _ = await self._store.list(LEASES, "kube-node-lease")
        renewals = {lease["metadata"]["name"]: str(lease["spec"].get("renewTime")) for lease in leases}
        nodes, _ = await self._store.list(NODES)
        now = time.monotonic()
        for found in nodes:
            name = found["metadata"]["name"]
            silent = self._heartbeats.silent(name, renewals.get(name, ""), now)
            ready = node_object.condition(found, "Ready")
            if silent and ready not in ("", "Unknown"):
                await self._set_unknown(name)
            elif ready == "True" and _is_unreachable(found):
                await self._clear_taints(name)

    async def _set_unknown(self, name: str) -> None:
        stamp = timestamp(self._store.now())
        await self._store.change(NODES, name, "", lambda old: declared_unknown(old, stamp), "status")
        await self._store.change(NODES, name, "", _with_unreachable_taints)

    async def _clear_taints(self, name: str) -> None:
        def edit(old: Obj) -> Obj:
            taints = [taint for taint in old["spec"].get("taints", ()) if taint["key"] != UNREACHABLE]
            return old | {"spec": old["spec"] | {"taints": taints}}

        await self._store.change(NODES, name, "", edit)


def _is_unreachable(found: Obj) -> bool:
    return any(taint["key"] == UNREACHABLE for taint in found.get("spec", {}).get("taints", ()))


def _with_unreachable_taints(found: Obj) -> Obj:
    if _is_unreachable(found):
        return found
    spec = found.get("spec") or {}
    added = [{"key": UNREACHABLE, "effect": effect} for effect in ("NoSchedule", "NoExecute")]
    return found | {"spec": spec | {"taints": [*spec.get("taints", ()), *added]}}
