"""What hetzner-k3s 2.x applies of an add-on by kubectl, and what of that was found in a cluster.

See docs/facts/addons.md#manifests-of-2x.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER, CSI_DRIVER


@dataclass(frozen=True, slots=True, order=True)
class ObjectName:
    """An object's kind and name; what has a namespace lies in kube-system."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The objects of an add-on's manifest, which have the same names in the chart (docs/facts/addons.md#charts).

    Args:
        workloads: what runs its pods; the chart's have other selectors, and a selector cannot be changed.
        beside: what those pods alone use, and what Helm could not bring to what the chart says.
        kept: what volumes and claims rely on: it is never deleted, only handed to the chart.
    """

    workloads: tuple[ObjectName, ...]
    beside: tuple[ObjectName, ...]
    kept: tuple[ObjectName, ...] = ()


_CONTROLLER: Final = "hcloud-csi-controller"

OF_2X: Final[Mapping[str, Manifest]] = {
    CLOUD_CONTROLLER: Manifest(
        workloads=(ObjectName("Deployment", CLOUD_CONTROLLER),),
        beside=(
            ObjectName("ServiceAccount", CLOUD_CONTROLLER),
            ObjectName("ClusterRole", f"system:{CLOUD_CONTROLLER}"),
            ObjectName("ClusterRoleBinding", f"system:{CLOUD_CONTROLLER}:restricted"),
            ObjectName("ClusterRoleBinding", f"system:{CLOUD_CONTROLLER}"),
        ),
    ),
    CSI_DRIVER: Manifest(
        workloads=(ObjectName("Deployment", _CONTROLLER), ObjectName("DaemonSet", "hcloud-csi-node")),
        beside=(
            ObjectName("ServiceAccount", _CONTROLLER),
            ObjectName("ClusterRole", _CONTROLLER),
            ObjectName("ClusterRoleBinding", _CONTROLLER),
        ),
        kept=(ObjectName("StorageClass", "hcloud-volumes"), ObjectName("CSIDriver", "csi.hetzner.cloud")),
    ),
}
"""By the name of the chart that takes its place."""


def release_of(chart: str, namespace: str = "kube-system") -> str:
    """Return what a Helm release is called here: by namespace and name."""
    return f"{namespace}/{chart}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment or DaemonSet that was found.

    Args:
        uid: what tells it from another one of that name.
        ending: it is being deleted, and goes when its pods have ended.
        release: the Helm release that it belongs to, None where it belongs to none.
        images, arguments, settings: of all its containers; of a setting only the name of the variable.
    """

    uid: str
    ending: bool = False
    release: str | None = None
    images: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptObject:
    """A StorageClass or CSIDriver that was found: the release it belongs to, and what the chart would set of it."""

    release: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AddonFound:
    """What there is under the names of an add-on's manifest, whoever put it there."""

    workloads: Mapping[ObjectName, Workload] = field(default_factory=dict)
    kept: Mapping[ObjectName, KeptObject] = field(default_factory=dict)
