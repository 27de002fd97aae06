"""What Kubernetes and people make at Hetzner for a cluster's servers, and what a deletion leaves of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from hetzner_k3s.lab.k3s.api.resources import PERSISTENT_VOLUMES
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.world import World
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents, WithLoadBalancers, WithVolumes

from . import mischief

ALL_GOES = Consents.of(WithVolumes(), WithLoadBalancers())
VOLUME = "pvc-0b9a7c7e-8c1f-4a7e-9f57-0d2f6c1c9a11"
BALANCER = "web"
BY_CSI = {"managed-by": "csi-driver", "pvc-namespace": "default", "pvc-name": "data", "pv-name": VOLUME}
BY_HAND: Mapping[str, str] = {}


async def make_volume(
    world: World, name: str = VOLUME, *, at: str | None = None, labels: Mapping[str, str] = BY_CSI
) -> int:
    """Make a volume, at a server (by name) or at none, and wait until it is there."""
    place = {"location": "fsn1"} if at is None else {"server": _id_of(world, at)}
    number = _make(world, "volume", {"name": name, "size": 10, "labels": dict(labels), **place})
    made = world.project.volumes[number]
    await faults.until(lambda: made.status == "available" and made.attached is (at is not None), f"volume {name}")
    return number


def make_balancer(world: World, *servers: str) -> int:
    """Make a load balancer as the cloud controller does for a Service, with these servers (by name) behind it."""
    targets = [{"type": "server", "server": {"id": _id_of(world, name)}} for name in servers]
    labels = {naming.LABEL_SERVICE_UID: "7c1f0f5c-0000-4000-8000-000000000009"}
    order = {"name": BALANCER, "load_balancer_type": "lb11", "location": "fsn1", "labels": labels, "targets": targets}
    return _make(world, "load_balancer", order)


async def name_volume(world: World, number: int) -> None:
    """Let a PersistentVolume of the cluster name a volume, as the CSI driver does."""
    csi = {"driver": "csi.hetzner.cloud", "volumeHandle": str(number)}
    await mischief.store(world).create(PERSISTENT_VOLUMES, {"metadata": {"name": VOLUME}, "spec": {"csi": csi}})


def left_behind(world: World) -> set[str]:
    """Name the volumes and load balancers that there are."""
    project = world.project
    return {made.name for kind in (project.volumes, project.load_balancers) for made in kind.values()}


def _id_of(world: World, name: str) -> int:
    server = world.server(name)
    assert server is not None, name
    return server.id


def _make(world: World, kind: str, order: Mapping[str, object]) -> int:
    answer = cast(dict[str, Any], faults.ask(world, "POST", f"/{kind}s", json.dumps(order).encode()))
    return int(answer[kind]["id"])
