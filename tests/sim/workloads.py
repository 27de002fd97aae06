"""What users run: pods, disruption budgets and volumes, as objects of the simulated API. Nothing schedules them."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.api.resources import PERSISTENT_VOLUMES, POD_DISRUPTION_BUDGETS, PODS
from hetzner_k3s.lab.simulated.world import World

from . import mischief

_MIRROR = "kubernetes.io/config.mirror"


async def pod(
    world: World, name: str, node: str, controller: str | None = "ReplicaSet", *, mirror: bool = False
) -> None:
    """Let a pod run on a node."""
    owners = [{"apiVersion": "apps/v1", "kind": controller, "name": "web", "uid": "1", "controller": True}]
    metadata = {
        "name": name,
        "labels": {"app": "web"},
        "annotations": {_MIRROR: "x"} if mirror else {},
        "ownerReferences": owners if controller else [],
    }
    await mischief.store(world).create(PODS, {"metadata": metadata, "spec": {"nodeName": node}}, "default")


async def pods(world: World) -> list[str]:
    """Name the pods that there are, but for those of the cluster's own add-ons."""
    found, _ = await mischief.store(world).list(PODS)
    return sorted(each["metadata"]["name"] for each in found if each["metadata"]["namespace"] != "kube-system")


async def budget(world: World, allowed: int) -> None:
    """Say how many of the pods `app=web` may be disrupted."""
    store = mischief.store(world)
    if await store.find(POD_DISRUPTION_BUDGETS, "web", "default") is None:
        spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
        await store.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "web"}, "spec": spec}, "default")
    status = {"disruptionsAllowed": allowed}
    await store.change(POD_DISRUPTION_BUDGETS, "web", "default", lambda old: old | {"status": status}, "status")


async def local_volume(world: World, value: str, *, key: str = "kubernetes.io/hostname") -> None:
    """Bind a claim to a volume on a node's own disk, as k3s' local-path provisioner does; others use other labels."""
    term = {"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]}
    spec = {
        "claimRef": {"namespace": "default", "name": "data-web-0"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [term]}},
    }
    store = mischief.store(world)
    await store.create(PERSISTENT_VOLUMES, {"metadata": {"name": "pvc-1"}, "spec": spec})
    await store.change(PERSISTENT_VOLUMES, "pvc-1", "", lambda old: old | {"status": {"phase": "Bound"}}, "status")


async def without_volume(world: World) -> None:
    """Delete that volume."""
    await mischief.store(world).delete(PERSISTENT_VOLUMES, "pvc-1")
