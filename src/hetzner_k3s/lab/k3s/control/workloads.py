"""The pods of Deployments and DaemonSets in kube-system: one for each, which ends a while after its workload does.

Where it runs, and a second replica, are not modelled; a Deployment's ReplicaSet is left out.
"""

from __future__ import annotations

from hetzner_k3s.lab.k3s.api.resources import DAEMON_SETS, DEPLOYMENTS, PODS, Obj, Resource
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.api.strategy import FOREGROUND

_NAMESPACE = "kube-system"
_ENDING = "lab.hetzner-k3s/ending"


async def look(store: Store) -> None:
    """Bring pods to what there is: a new one comes at once, one whose workload went has a grace of one look."""
    there = [
        (resource, one)
        for resource in (DEPLOYMENTS, DAEMON_SETS)
        for one in (await store.list(resource, _NAMESPACE))[0]
    ]
    pods = [pod for pod in (await store.list(PODS, _NAMESPACE))[0] if _owner(pod)]
    staying = {one["metadata"]["uid"] for _, one in there if "deletionTimestamp" not in one["metadata"]}
    for resource, one in there:
        mine = [pod for pod in pods if _owner(pod) == one["metadata"]["uid"]]
        if one["metadata"]["uid"] in staying and not mine:
            await store.create(PODS, _pod(resource, one), _NAMESPACE)
        elif one["metadata"]["uid"] not in staying and not mine:
            await _let_go(store, resource, one)
    for pod in pods:
        if _owner(pod) not in staying:
            await _end(store, pod)


async def _end(store: Store, pod: Obj) -> None:
    name = pod["metadata"]["name"]
    if _ENDING in (pod["metadata"].get("annotations") or {}):
        await store.delete(PODS, name, _NAMESPACE)
        return
    await store.change(PODS, name, _NAMESPACE, lambda old: _annotated(old, _ENDING))


async def _let_go(store: Store, resource: Resource, one: Obj) -> None:
    """Take off what keeps a workload that is deleted in the foreground: its pods have ended."""

    def without(old: Obj) -> Obj:
        left = [finalizer for finalizer in old["metadata"].get("finalizers") or () if finalizer != FOREGROUND]
        return old | {"metadata": old["metadata"] | {"finalizers": left}}

    await store.change(resource, one["metadata"]["name"], _NAMESPACE, without)


def _annotated(old: Obj, mark: str) -> Obj:
    annotations = {**(old["metadata"].get("annotations") or {}), mark: "true"}
    return old | {"metadata": old["metadata"] | {"annotations": annotations}}


def _owner(pod: Obj) -> str:
    owners = pod["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), "")


def _pod(resource: Resource, one: Obj) -> Obj:
    metadata = one["metadata"]
    owner = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    template = (one.get("spec") or {}).get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    marks = {"generateName": f"{metadata['name']}-", "labels": labels, "ownerReferences": [owner]}
    return {"metadata": marks, "spec": template.get("spec") or {}, "status": {"phase": "Running"}}
