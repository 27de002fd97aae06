"""The add-ons that hetzner-k3s 2.x applied by kubectl: what of them is there, and how they make room for our charts.

See docs/facts/addons.md#ownership.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from hetzner_k3s.adapters.kube_session import MERGE, Session, path_of
from hetzner_k3s.model.kubernetes.addons_of_2x import OF_2X, AddonFound, KeptObject, ObjectName, Workload, release_of
from hetzner_k3s.model.text.documents import Document, Malformed

_NAMESPACE: Final = "kube-system"
_APPS: Final = "apps/v1"
_RBAC: Final = "rbac.authorization.k8s.io/v1"
_STORAGE: Final = "storage.k8s.io/v1"
_RESOURCES: Final[Mapping[str, tuple[str, str, str | None]]] = {
    "Deployment": ("deployments", _APPS, _NAMESPACE),
    "DaemonSet": ("daemonsets", _APPS, _NAMESPACE),
    "ServiceAccount": ("serviceaccounts", "v1", _NAMESPACE),
    "ClusterRole": ("clusterroles", _RBAC, None),
    "ClusterRoleBinding": ("clusterrolebindings", _RBAC, None),
    "StorageClass": ("storageclasses", _STORAGE, None),
    "CSIDriver": ("csidrivers", _STORAGE, None),
}
_RELEASE: Final = "meta.helm.sh/release-name"
_RELEASE_NAMESPACE: Final = "meta.helm.sh/release-namespace"
_MANAGED_BY: Final = "app.kubernetes.io/managed-by"
_DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
_MOST: Final = 200
"""Of containers, arguments or variables of one workload: the manifests have a tenth of that."""


async def found(session: Session, chart: str) -> AddonFound:
    """Read what there is under the names of an add-on's manifest."""
    manifest = OF_2X[chart]
    names = (*manifest.workloads, *manifest.kept)
    objects = await asyncio.gather(*(session.find(_path(name)) for name in names))
    there = {name: document for name, document in zip(names, objects, strict=True) if document is not None}
    return AddonFound(
        workloads={name: _workload(there[name]) for name in manifest.workloads if name in there},
        kept={name: _kept(name.kind, there[name]) for name in manifest.kept if name in there},
    )


async def hand_over(session: Session, chart: str) -> None:
    """Mark what must not be deleted as the release's, as Helm would: else it refuses to install the chart.

    A HelmChart could ask Helm for that, but not on every k3s (docs/facts/addons.md#take-ownership).
    """
    marks = {
        "labels": {_MANAGED_BY: "Helm"},
        "annotations": {_RELEASE: chart, _RELEASE_NAMESPACE: _NAMESPACE},
    }
    for name in OF_2X[chart].kept:
        document = await session.find(_path(name))
        if document is not None and _release(document) is None:
            same = {"uid": document.child("metadata").text("uid")}
            await session.send("PATCH", _path(name), {"metadata": {**same, **marks}}, MERGE)


def deleting(name: ObjectName, uid: str) -> Callable[[Session], Awaitable[None]]:
    """Make the request that deletes a workload, if it is this one still.

    It stays until its pods have ended (docs/facts/addons.md#foreground-deletion): two drivers on one host would get in
    each other's way (docs/facts/addons.md#without-a-csi-driver).
    """

    async def delete(session: Session) -> None:
        await session.delete(_path(name), uid, propagationPolicy="Foreground")

    return delete


def gone(name: ObjectName, uid: str) -> Callable[[Session], Awaitable[bool]]:
    """Make the look whether this very workload is there no more."""

    async def is_gone(session: Session) -> bool:
        document = await session.find(_path(name))
        return document is None or document.child("metadata").text("uid") != uid

    return is_gone


async def delete_beside(session: Session, chart: str) -> None:
    """Delete what only the pods used that have ended; what belongs to a Helm release is left."""
    for name in OF_2X[chart].beside:
        document = await session.find(_path(name))
        if document is not None and _release(document) is None:
            await session.delete(_path(name), document.child("metadata").text("uid"), propagationPolicy="Background")


def _path(name: ObjectName) -> str:
    resource, group, namespace = _RESOURCES[name.kind]
    return path_of(resource, name.name, namespace=namespace, group=group)


def _release(document: Document) -> str | None:
    annotations = document.child("metadata").text_map("annotations")
    name = annotations.get(_RELEASE)
    return None if name is None else release_of(name, annotations.get(_RELEASE_NAMESPACE, ""))


def _workload(document: Document) -> Workload:
    metadata = document.child("metadata")
    pod = document.child_or_empty("spec").child_or_empty("template").child_or_empty("spec")
    containers = (*pod.children_or_none("initContainers"), *pod.children_or_none("containers"))
    return Workload(
        uid=metadata.text("uid"),
        ending="deletionTimestamp" in metadata,
        release=_release(document),
        images=_bounded(container.text_or("image") for container in containers),
        arguments=_bounded(word for one in containers for key in ("command", "args") for word in one.texts(key)),
        settings=_bounded(variable.text("name") for one in containers for variable in one.children_or_none("env")),
    )


def _bounded(texts: Iterator[str]) -> tuple[str, ...]:
    read = tuple(texts)
    if len(read) > _MOST:
        raise Malformed(f"a workload of kube-system has more than {_MOST} arguments or variables")
    return read


def _kept(kind: str, document: Document) -> KeptObject:
    fields = _class_fields(document) if kind == "StorageClass" else _driver_fields(document.child_or_empty("spec"))
    return KeptObject(release=_release(document), fields=fields)


def _class_fields(document: Document) -> dict[str, str]:
    annotations = document.child("metadata").text_map("annotations")
    return {
        "provisioner": document.text_or("provisioner"),
        "volumeBindingMode": document.text_or("volumeBindingMode", "Immediate"),
        "allowVolumeExpansion": _told(document.flag_or("allowVolumeExpansion")),
        "reclaimPolicy": document.text_or("reclaimPolicy", "Delete"),
        _DEFAULT_CLASS: annotations.get(_DEFAULT_CLASS, "false"),
    }


def _driver_fields(spec: Document) -> dict[str, str]:
    return {
        "attachRequired": _told(spec.flag_or("attachRequired", default=True)),
        "fsGroupPolicy": spec.text_or("fsGroupPolicy", "ReadWriteOnceWithFSType"),
        "podInfoOnMount": _told(spec.flag_or("podInfoOnMount")),
        "seLinuxMount": _told(spec.flag_or("seLinuxMount")),
        "volumeLifecycleModes": ", ".join(spec.texts("volumeLifecycleModes")) or "Persistent",
    }


def _told(flag: bool) -> str:
    return "true" if flag else "false"
