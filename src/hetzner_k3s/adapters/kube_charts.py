"""The HelmCharts that we applied: what in the cluster needs one, and how one goes."""

from __future__ import annotations

from typing import Final

import httpx2

from hetzner_k3s.adapters.kube_objects import digest_of, name_of
from hetzner_k3s.adapters.kube_session import Session, path_of
from hetzner_k3s.adapters.kube_volumes import is_hetzners
from hetzner_k3s.model.kubernetes.addons import CERT_MANAGER, CLOUD_CONTROLLER, CSI_DRIVER
from hetzner_k3s.model.text.documents import Document

CHARTS: Final = path_of("helmcharts", namespace="kube-system", group="helm.cattle.io/v1")

_CLEANUP: Final = "service.kubernetes.io/load-balancer-cleanup"
"""The finalizer by which a cloud controller has taken a Service: only one can take it off."""


async def dependents(session: Session, chart: str) -> tuple[str, ...]:
    """Name what nobody would look after once this chart is gone."""
    match chart:
        case name if name == CSI_DRIVER:
            volumes = await session.listed(path_of("persistentvolumes"))
            return tuple(f"PersistentVolume {name_of(volume)}" for volume in volumes if is_hetzners(volume))
        case name if name == CLOUD_CONTROLLER:
            services = await session.listed(path_of("services"))
            return tuple(f"Service {_full_name(service)}" for service in services if _is_balanced(service))
        case name if name == CERT_MANAGER:
            return tuple(f"Certificate {_full_name(found)}" for found in await _certificates(session))
        case _:
            return ()


async def _certificates(session: Session) -> list[Document]:
    """Read all certificates; none where the API does not know their kind."""
    path = path_of("certificates", group="cert-manager.io/v1")
    return [] if await session.find(path) is None else await session.listed(path)


async def delete(session: Session, name: str, digest: str) -> None:
    """Delete a chart at the version that was just read, if it is still the one of this digest."""
    found = await session.find(f"{CHARTS}/{name}")
    if found is None or digest_of(found) != digest:
        return
    metadata = found.child("metadata")
    same = {key: metadata.text(key) for key in ("uid", "resourceVersion")}
    body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": same}
    try:
        await session.send("DELETE", f"{CHARTS}/{name}", body)
    except httpx2.HTTPStatusError as refused:
        if refused.response.status_code != httpx2.codes.NOT_FOUND:
            raise


async def is_gone(session: Session, name: str, digest: str) -> bool:
    """Check whether a chart of this digest is there no more: k3s' helm controller keeps it until it is uninstalled."""
    found = await session.find(f"{CHARTS}/{name}")
    return found is None or digest_of(found) != digest


def _is_balanced(service: Document) -> bool:
    metadata, spec = service.child("metadata"), service.child_or_empty("spec")
    taken = "finalizers" in metadata and _CLEANUP in metadata.texts("finalizers")
    return taken and spec.text_or("type") == "LoadBalancer"


def _full_name(found: Document) -> str:
    return f"{found.child('metadata').text('namespace')}/{name_of(found)}"
