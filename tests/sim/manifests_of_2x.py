"""The objects that hetzner-k3s 2.x applies by kubectl, as far as this lab knows of them.

See docs/facts/addons.md#manifests-of-2x: same names as in the charts, other selectors, no mark of Helm's.
"""

from __future__ import annotations

import json

from hetzner_k3s.lab.k3s.api.resources import BUILT_IN, DEPLOYMENTS, PODS, SECRETS, Obj
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.cloud import HCLOUD_CONTROLLER, HELM_CHARTS
from hetzner_k3s.lab.k3s.control.helm import CSI_CHART, KUBECTL_APPLIED

KUBE_SYSTEM = "kube-system"
_CSI = "hcloud-csi-controller"
_RESOURCES = {resource.kind: resource for resource in BUILT_IN}
_CHARTS = (HCLOUD_CONTROLLER, CSI_CHART)


def _workload(name: tuple[str, str], app: str, image: str, arguments: list[str], settings: list[str]) -> Obj:
    kind, called = name
    container = {
        "name": called,
        "image": f"docker.io/hetznercloud/{image}",
        "args": arguments,
        "env": [{"name": setting, "value": "x"} for setting in settings],
    }
    spec = {"containers": [container], "initContainers": None}
    labels = {"app": app}
    body = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}}
    return {"kind": kind, "metadata": {"name": called}, "spec": body}


def _binding(name: str, ref: Obj, subjects: list[Obj]) -> Obj:
    return {"kind": "ClusterRoleBinding", "metadata": {"name": name}, "roleRef": ref, "subjects": subjects}


def _rights(account: str, role: str, *bindings: str) -> list[Obj]:
    group = "rbac.authorization.k8s.io"
    ref = {"apiGroup": group, "kind": "ClusterRole", "name": role}
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": KUBE_SYSTEM}]
    return [
        {"kind": "ServiceAccount", "metadata": {"name": account}},
        {"kind": "ClusterRole", "metadata": {"name": role}, "rules": [{"apiGroups": [""], "verbs": ["get"]}]},
        *(
            {"kind": "ClusterRoleBinding", "metadata": {"name": b}, "roleRef": ref, "subjects": subjects}
            for b in bindings
        ),
    ]


def cloud_controller(cluster_cidr: str) -> list[Obj]:
    """Return what `ccm-networks.yaml` holds."""
    name = HCLOUD_CONTROLLER
    arguments = ["--cloud-provider=hcloud", "--allocate-node-cidrs=true", f"--cluster-cidr={cluster_cidr}"]
    settings = ["HCLOUD_TOKEN", "ROBOT_PASSWORD", "ROBOT_USER", "HCLOUD_NETWORK"]
    return [
        *_rights(name, f"system:{name}", f"system:{name}:restricted"),
        _workload(("Deployment", name), name, f"{name}:v1.33.0", [*arguments, "--leader-elect=false"], settings),
    ]


def csi_driver() -> list[Obj]:
    """Return what `hcloud-csi.yml` holds."""
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"}
    driver = {"attachRequired": True, "fsGroupPolicy": "File", "podInfoOnMount": True, "seLinuxMount": True}
    image, settings = "hcloud-csi-driver:v2.21.2", ["CSI_ENDPOINT", "METRICS_ENDPOINT", "ENABLE_METRICS"]
    of_controller = [*settings, "KUBE_NODE_NAME", "HCLOUD_TOKEN"]
    return [
        *_rights(_CSI, _CSI, _CSI),
        {
            "kind": "StorageClass",
            "metadata": {"name": "hcloud-volumes", "annotations": annotations},
            "provisioner": "csi.hetzner.cloud",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
            "reclaimPolicy": "Delete",
        },
        {
            "kind": "CSIDriver",
            "metadata": {"name": "csi.hetzner.cloud"},
            "spec": {**driver, "volumeLifecycleModes": ["Persistent"]},
        },
        _workload(("Deployment", _CSI), _CSI, image, ["-controller", "--default-fstype=ext4"], of_controller),
        _workload(("DaemonSet", "hcloud-csi-node"), CSI_CHART, image, ["-node"], settings),
    ]


def whole(manifest: Obj) -> Obj:
    """Return an object of a manifest with its version and its namespace, as a file of it says them."""
    resource = _RESOURCES[manifest["kind"]]
    namespace = {"namespace": KUBE_SYSTEM} if resource.namespaced else {}
    return {**manifest, "apiVersion": resource.api_version, "metadata": {**manifest["metadata"], **namespace}}


async def apply_instead_of_charts(store: Store, cluster_cidr: str) -> None:
    """Have the add-ons be what 2.x applied, and have never been anything else."""
    for applied in (await store.list(HELM_CHARTS))[0]:
        await store.delete(HELM_CHARTS, applied["metadata"]["name"], KUBE_SYSTEM)
    for chart in _CHARTS:
        secret = f"sh.helm.release.v1.{chart}.v1"
        if await store.find(SECRETS, secret, KUBE_SYSTEM):
            await store.delete(SECRETS, secret, KUBE_SYSTEM)
    for manifest in (*cloud_controller(cluster_cidr), *csi_driver()):
        await _apply(store, manifest)


async def _apply(store: Store, manifest: Obj) -> None:
    resource = _RESOURCES[manifest["kind"]]
    name, namespace = manifest["metadata"]["name"], KUBE_SYSTEM if resource.namespaced else ""
    if await store.find(resource, name, namespace):
        await store.delete(resource, name, namespace)
    annotations = {**manifest["metadata"].get("annotations", {}), KUBECTL_APPLIED: json.dumps(manifest)}
    metadata = manifest["metadata"] | {"annotations": annotations}
    await store.create(resource, manifest | {"apiVersion": resource.api_version, "metadata": metadata}, namespace)


async def running_controllers(store: Store) -> int:
    """Count the pods of the cloud controller, those that are ending too."""
    pods, _ = await store.list(PODS, KUBE_SYSTEM)
    return sum(pod["metadata"]["name"].startswith(HCLOUD_CONTROLLER) for pod in pods)


async def has_controller(store: Store) -> bool:
    """Check whether a cloud controller is there."""
    return await store.find(DEPLOYMENTS, HCLOUD_CONTROLLER, KUBE_SYSTEM) is not None
