"""The add-ons of an adopted cluster that are still those of 2.x, and what speaks against a chart in their place.

What is changed by hand beyond what is compared here is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER, CSI_DRIVER, VERSIONS
from hetzner_k3s.model.kubernetes.addons_of_2x import (
    OF_2X,
    AddonFound,
    KeptObject,
    ObjectName,
    Workload,
    release_of,
)
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.text.wording import listed

_NAMED: Final = 3
_IMAGES: Final = {
    CLOUD_CONTROLLER: "hetznercloud/hcloud-cloud-controller-manager",
    CSI_DRIVER: "hetznercloud/hcloud-csi-driver",
}
_SETTINGS: Final = {
    CLOUD_CONTROLLER: frozenset({"HCLOUD_TOKEN", "HCLOUD_NETWORK", "ROBOT_USER", "ROBOT_PASSWORD", "NODE_NAME"}),
    CSI_DRIVER: frozenset({"CSI_ENDPOINT", "METRICS_ENDPOINT", "ENABLE_METRICS", "KUBE_NODE_NAME", "HCLOUD_TOKEN"}),
}
_ARGUMENTS: Final = {
    CLOUD_CONTROLLER: frozenset(
        {
            *("--allow-untagged-cloud", "--cloud-provider=hcloud", "--leader-elect=false", "--webhook-secure-port=0"),
            *("--route-reconciliation-period=30s", "--allocate-node-cidrs=true"),
            "--feature-gates=CloudControllerManagerWatchBasedRoutesReconciliation=false",
            "--feature-gates=CloudControllerManagerWatchBasedRoutesReconciliation=true",
        }
    ),
    CSI_DRIVER: frozenset(
        {
            *("-controller", "-node", "--default-fstype=ext4", "--extra-create-metadata"),
            *("--feature-gates=Topology=true", "--feature-gates=RecoverVolumeExpansionFailure=false"),
            "--kubelet-registration-path=/var/lib/kubelet/plugins/csi.hetzner.cloud/socket",
        }
    ),
}
"""What the manifests give to containers, from the oldest that 2.x applied on (docs/facts/addons.md#manifests-of-2x).

Anything else may change what the cloud controller makes of load balancers (docs/facts/addons.md#load-balancers).
"""

_NETWORK: Final = "HCLOUD_NETWORK"
_CLUSTER_CIDR: Final = "--cluster-cidr="

_KEPT: Final[Mapping[str, Mapping[str, str]]] = {
    "StorageClass": {
        "provisioner": "csi.hetzner.cloud",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": "true",
        "reclaimPolicy": "Delete",
        "storageclass.kubernetes.io/is-default-class": "true",
    },
    "CSIDriver": {
        "attachRequired": "true",
        "fsGroupPolicy": "File",
        "podInfoOnMount": "true",
        "seLinuxMount": "true",
        "volumeLifecycleModes": "Persistent",
    },
}
"""What the chart sets of what it takes over.

Helm must find it so (docs/facts/addons.md#ownership): k3s would uninstall a release that failed, and that with it
(docs/facts/addons.md#failed-release).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftTo2x:
    """An add-on that the file asks for, of a cluster that was adopted, and that is no chart of ours.

    Args:
        chart: what would take its place.
        found: what is there of it; None where that could not be read.
        obstacles: why no chart may take its place, each as a clause with what can be done.
    """

    chart: str
    found: AddonFound | None
    obstacles: tuple[str, ...]

    @property
    def is_gone(self) -> bool:
        """Check whether it does not run any more: not all of its workloads are there to stay."""
        if self.found is None:
            return False
        running = {name for name, workload in self.found.workloads.items() if not workload.ending}
        return not running.issuperset(OF_2X[self.chart].workloads)


def of_2x(context: DecisionContext, kube: KubeView) -> frozenset[str]:
    """Name the add-ons of an adopted cluster that are no charts of ours, although the file asks for them."""
    if context.control_plane.record.adopted is None:
        return frozenset()
    return frozenset(name for name in context.intent.addons if name in OF_2X and name not in kube.addons)


def left_to_2x(context: DecisionContext) -> tuple[LeftTo2x, ...]:
    """Return them with what speaks against a chart in their place, the cloud controller first."""
    kube = context.control_plane.kube
    if kube is None:
        return ()
    names = of_2x(context, kube)
    return tuple(_left(context.spec, kube, chart) for chart in OF_2X if chart in names)


def not_installed(context: DecisionContext) -> tuple[str, ...]:
    """Name the charts of ours, of an adopted cluster, that k3s has yet to install, or cannot."""
    kube = context.control_plane.kube
    if kube is None or context.control_plane.record.adopted is None:
        return ()
    applied = {chart: found for chart, found in kube.of_2x.items() if chart in kube.addons}
    return tuple(chart for chart, found in applied.items() if not _is_installed(chart, found))


def installed(chart: str) -> AddonFound:
    """Return what is there of an add-on once its chart is installed."""
    manifest, release = OF_2X[chart], release_of(chart)
    return AddonFound(
        workloads={name: Workload(uid="", release=release) for name in manifest.workloads},
        kept={name: KeptObject(release=release, fields=_KEPT[name.kind]) for name in manifest.kept},
    )


def _is_installed(chart: str, found: AddonFound) -> bool:
    release = release_of(chart)
    releases = {name: workload.release for name, workload in found.workloads.items()}
    return all(releases.get(name) == release for name in OF_2X[chart].workloads)


def _left(spec: ClusterSpec, kube: KubeView, chart: str) -> LeftTo2x:
    found = kube.of_2x.get(chart)
    if found is None:
        return LeftTo2x(chart=chart, found=None, obstacles=("what there is of it could not be read; try again",))
    return LeftTo2x(chart=chart, found=found, obstacles=tuple(_obstacles(spec, kube, chart, found)))


def _obstacles(spec: ClusterSpec, kube: KubeView, chart: str, found: AddonFound) -> Iterator[str]:
    silent = [node.name for node in kube.nodes if not node.ready]
    if found.workloads and silent:
        yield f"{listed(silent, _NAMED)} is not Ready, and a pod there could not be ended; bring it back first"
    for name, workload in found.workloads.items():
        yield from _obstacles_of(spec, chart, name, workload)
    for name, kept in found.kept.items():
        yield from _differences(chart, name, kept)


def _obstacles_of(spec: ClusterSpec, chart: str, name: ObjectName, workload: Workload) -> Iterator[str]:
    if workload.release is not None:
        yield f"{name} belongs to the Helm release {workload.release}; uninstall that, or switch the add-on off here"
        return
    yield from _other_image(chart, name, workload)
    known = _ARGUMENTS[chart]
    other = [word for word in workload.arguments if word.startswith("-") and word not in known]
    more = [*(word for word in other if not _is_of_file(spec, word)), *sorted({*workload.settings} - _SETTINGS[chart])]
    if more:
        yield f"{name} has {listed(more, _NAMED)}, which the chart would not have; leave it, or take that out first"
    if chart == CLOUD_CONTROLLER and (_NETWORK in workload.settings) != spec.network.private:
        yield f"{name} was applied for a cluster {'without' if spec.network.private else 'with'} a private network"


def _is_of_file(spec: ClusterSpec, argument: str) -> bool:
    return argument == _CLUSTER_CIDR + spec.kubernetes_network.cluster_cidr


def _other_image(chart: str, name: ObjectName, workload: Workload) -> Iterator[str]:
    """Tell of an image that is not Hetzner's, or newer than the chart's: its data may be, too."""
    mine = [image for image in workload.images if _IMAGES[chart] in image]
    if not mine:
        yield f"{name} runs {listed(workload.images, _NAMED) or 'nothing'}, not {_IMAGES[chart]}; leave it as it is"
    for image in mine:
        version = _version(image.rpartition(":")[2])
        if version is None or version > (_version(VERSIONS[chart]) or ()):
            yield f"{name} runs {image}, and the chart brings v{VERSIONS[chart]}; leave it until the chart is as new"


def _version(text: str) -> tuple[int, ...] | None:
    parts = text.removeprefix("v").split(".")
    return tuple(map(int, parts)) if all(part.isascii() and part.isdecimal() for part in parts) else None


def _differences(chart: str, name: ObjectName, kept: KeptObject) -> Iterator[str]:
    if kept.release not in {None, release_of(chart)}:
        yield f"{name} belongs to the Helm release {kept.release}; uninstall that, or switch the add-on off here"
    for field, wanted in _KEPT[name.kind].items():
        seen = kept.fields.get(field, "")
        if seen != wanted:
            yield f"{name} has {field} {seen or 'unset'}, the chart {wanted}; leave it, or change that first"
