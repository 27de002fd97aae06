"""k3s' helm controller as far as two of Hetzner's charts show it: their objects come, go, or cannot come.

Helm refuses to install what would overwrite an object that is not the release's. What it takes over it changes in
place, which fails where a field cannot change, or where kubectl owns one and has another value for it; k3s then
uninstalls the release, with all that it took over, and begins anew. See docs/facts/addons.md#failed-release.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api import patch
from hetzner_k3s.lab.k3s.api.resources import BUILT_IN, SECRETS, Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control import workloads
from hetzner_k3s.lab.k3s.control.cloud import HCLOUD_CONTROLLER, HELM_CHARTS, NETWORK
from hetzner_k3s.lab.k3s.etcd.port import EtcdError

CSI_CHART = "hcloud-csi"
KUBECTL_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""On every object that `kubectl apply` made."""

_LOOK_EVERY = 2.0
_NAMESPACE = "kube-system"
_RELEASE_NAME, _RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_MANAGED_BY = "app.kubernetes.io/managed-by"
_BY_KIND = {resource.kind: resource for resource in BUILT_IN}


def _labels(name: str, release: str, component: str = "") -> dict[str, str]:
    of = {"app.kubernetes.io/component": component} if component else {}
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release, **of}


def _workload(kind: str, name: str, image: str, labels: dict[str, str], env: Sequence[str] = ()) -> Obj:
    settings = {"env": [{"name": setting} for setting in env]} if env else {}
    pod = {"containers": [{"name": name, "image": f"docker.io/hetznercloud/{image}", **settings}]}
    spec = {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}}
    return {"kind": kind, "metadata": {"name": name}, "spec": spec}


def _rights(account: str, role: str, binding: str) -> Iterator[Obj]:
    yield {"kind": "ServiceAccount", "metadata": {"name": account}}
    rules = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"]}]
    yield {"kind": "ClusterRole", "metadata": {"name": role}, "rules": rules}
    group = {"apiGroup": "rbac.authorization.k8s.io"}
    yield {
        "kind": "ClusterRoleBinding",
        "metadata": {"name": binding},
        "roleRef": {**group, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": _NAMESPACE}],
    }


def _cloud_controller(values: Mapping[str, Any]) -> Iterator[Obj]:
    name, networking = HCLOUD_CONTROLLER, values.get("networking", {}).get("enabled", False)
    yield from _rights(name, f"system:{name}", f"system:{name}:restricted")
    yield _workload("Deployment", name, f"{name}:v1.33.0", _labels(name, name), [NETWORK] if networking else [])


def _csi_driver(_values: Mapping[str, Any]) -> Iterator[Obj]:
    controller, image = "hcloud-csi-controller", "hcloud-csi-driver:v2.21.2"
    yield {
        "kind": "StorageClass",
        "metadata": {
            "name": "hcloud-volumes",
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "csi.hetzner.cloud",
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
        "reclaimPolicy": "Delete",
    }
    driver = {"attachRequired": True, "fsGroupPolicy": "File", "podInfoOnMount": True, "seLinuxMount": True}
    spec = {**driver, "volumeLifecycleModes": ["Persistent"]}
    yield {"kind": "CSIDriver", "metadata": {"name": "csi.hetzner.cloud"}, "spec": spec}
    yield from _rights(controller, controller, controller)
    yield _workload("Deployment", controller, image, _labels(CSI_CHART, CSI_CHART, "controller"))
    yield _workload("DaemonSet", "hcloud-csi-node", image, _labels(CSI_CHART, CSI_CHART, "node"))


_CHARTS = {HCLOUD_CONTROLLER: _cloud_controller, CSI_CHART: _csi_driver}


class HelmController:
    """Installs and uninstalls charts, and has the pods of what they hold come and end.

    Args:
        store: the objects.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Look every other second."""
        while True:
            try:
                await look(self._store)
            except (ApiError, EtcdError) as problem:
                logfmt.error(f"error in helm controller: {problem}")
            await asyncio.sleep(_LOOK_EVERY)


async def look(store: Store) -> None:
    """Bring what there is of the charts to what HelmChart objects ask for, and their pods to what there is."""
    charts, _ = await store.list(HELM_CHARTS)
    names = {chart["metadata"]["name"] for chart in charts if "deletionTimestamp" not in chart["metadata"]}
    for name in _CHARTS:
        await _reconcile(store, name, wanted=name in names)
    await workloads.look(store)


async def _reconcile(store: Store, chart: str, *, wanted: bool) -> None:
    release = await store.find(SECRETS, _secret(chart), _NAMESPACE)
    failed = release is not None and release["metadata"]["labels"]["status"] == "failed"
    if release is not None and (failed or not wanted):
        await _uninstall(store, chart)
    elif release is None and wanted:
        await _install(store, chart)


async def _install(store: Store, chart: str) -> None:
    asked = await store.find(HELM_CHARTS, chart, _NAMESPACE) or {}
    values = json.loads(asked.get("spec", {}).get("valuesContent") or "{}")
    objects = [(_BY_KIND[one["kind"]], _of_release(chart, one)) for one in _CHARTS[chart](values)]
    found = [await _find(store, resource, one) for resource, one in objects]
    for (resource, one), there in zip(objects, found, strict=True):
        if there is not None and not _is_of_release(chart, there):
            name = one["metadata"]["name"]
            logfmt.error(f'{resource.kind} "{name}" exists and cannot be imported: invalid ownership metadata')
            return  # nothing is recorded, and the job is tried again
    try:
        for (resource, one), there in zip(objects, found, strict=True):
            await _bring(store, resource, one, there)
    except ApiError as problem:
        logfmt.error(f"release {chart} failed: {problem}")
        await _record(store, chart, "failed")
    else:
        await _record(store, chart, "deployed")


async def _bring(store: Store, resource: Resource, wanted: Obj, there: Obj | None) -> None:
    if there is None:
        await store.create(resource, wanted, _namespace(resource))
        return
    name = wanted["metadata"]["name"]
    if KUBECTL_APPLIED in (there["metadata"].get("annotations") or {}) and (field := _conflict(there, wanted)):
        raise ApiError(409, f'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply": .{field}')
    await store.change(resource, name, _namespace(resource), lambda old: patch.merge(old, wanted))


def _conflict(there: Any, wanted: Any, at: str = "") -> str:
    """Return the path of the first field that has another value; none where it is not there at all."""
    if not isinstance(wanted, dict) or not isinstance(there, dict):
        return at if there != wanted else ""
    inside = (_conflict(there[key], value, f"{at}.{key}") for key, value in wanted.items() if key in there)
    return next(filter(None, inside), "")


async def _uninstall(store: Store, chart: str) -> None:
    for one in _CHARTS[chart]({}):
        resource = _BY_KIND[one["kind"]]
        if await _find(store, resource, one) is not None:
            await store.delete(resource, one["metadata"]["name"], _namespace(resource))
    await store.delete(SECRETS, _secret(chart), _NAMESPACE)


async def _record(store: Store, chart: str, status: str) -> None:
    labels = {"owner": "helm", "name": chart, "status": status}
    body = {"metadata": {"name": _secret(chart), "labels": labels}, "type": "helm.sh/release.v1"}
    await store.create(SECRETS, body, _NAMESPACE)


async def _find(store: Store, resource: Resource, one: Obj) -> Obj | None:
    return await store.find(resource, one["metadata"]["name"], _namespace(resource))


def _namespace(resource: Resource) -> str:
    return _NAMESPACE if resource.namespaced else ""


def _secret(chart: str) -> str:
    return f"sh.helm.release.v1.{chart}.v1"


def _of_release(chart: str, one: Obj) -> Obj:
    marks = {
        "labels": {_MANAGED_BY: "Helm"},
        "annotations": {_RELEASE_NAME: chart, _RELEASE_NAMESPACE: _NAMESPACE},
    }
    applied: Obj = patch.merge(one, {"apiVersion": _BY_KIND[one["kind"]].api_version, "metadata": marks})
    return json.loads(json.dumps(applied))  # type: ignore[no-any-return]


def _is_of_release(chart: str, there: Obj) -> bool:
    labels, annotations = ((there["metadata"].get(key) or {}) for key in ("labels", "annotations"))
    marks = (labels.get(_MANAGED_BY), annotations.get(_RELEASE_NAME), annotations.get(_RELEASE_NAMESPACE))
    return bool(marks == ("Helm", chart, _NAMESPACE))
