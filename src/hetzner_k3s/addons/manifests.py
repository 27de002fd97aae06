"""The Secret `hcloud` and the HelmChart objects that k3s' own helm controller installs.

Chart versions are those that hetzner-k3s 2.6 pins (DEMAND_AND_COMPATIBILITY.md 6.7); a chart's version is its
program's. Without a cloud controller real nodes stay tainted as uninitialized, so nothing else is ever scheduled.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.model.spec import ClusterSpec

ANNOTATION_DIGEST: Final = "hetzner-k3s/digest"
"""On every object we apply: what it was rendered from, so that a second run sees that there is nothing to write."""

_CHARTS: Final = "https://charts.hetzner.cloud"
_CLOUD_CONTROLLER: Final = ("hcloud-cloud-controller-manager", "1.33.0")
_CSI_DRIVER: Final = ("hcloud-csi", "2.21.2")
_NAMESPACE: Final = "kube-system"
_DIGEST_DIGITS: Final = 16

Manifest = Mapping[str, object]


def manifests(spec: ClusterSpec) -> tuple[Manifest, ...]:
    """Give the objects to apply, in order: the Secret first, since the charts' pods read it."""
    return tuple(_object(kind, name, content) for kind, name, content in _contents(spec))


def digests(spec: ClusterSpec) -> dict[str, str]:
    """Give the digest of each object that is applied, by the object's name."""
    return {name: _digest(content) for _kind, name, content in _contents(spec)}


def _digest(content: Mapping[str, object]) -> str:
    """Hash an object's content, the Hetzner token of the Secret included: a new token must reach the cluster.

    The digest stands in an annotation, which more people may read than Secrets. A token has 64 random characters, so
    these 64 bits of a hash lead nobody to it.
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGEST_DIGITS]


_Content = tuple[str, str, dict[str, object]]


def _contents(spec: ClusterSpec) -> list[_Content]:
    contents: list[_Content] = [("Secret", "hcloud", _credentials(spec))]
    if spec.addons.cloud_controller_manager:
        contents.append(("HelmChart", _CLOUD_CONTROLLER[0], _cloud_controller(spec)))
    if spec.addons.csi_driver:
        contents.append(("HelmChart", _CSI_DRIVER[0], _chart(*_CSI_DRIVER, values={})))
    return contents


def _object(kind: str, name: str, content: Mapping[str, object]) -> Manifest:
    metadata = {"name": name, "namespace": _NAMESPACE, "annotations": {ANNOTATION_DIGEST: _digest(content)}}
    api_version = "v1" if kind == "Secret" else "helm.cattle.io/v1"
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _credentials(spec: ClusterSpec) -> dict[str, object]:
    # `data`, not `stringData`: server-side apply forgets who owns a field of `stringData`.
    values = {"token": spec.hetzner_token.reveal(), "network": spec.network_name}
    return {"type": "Opaque", "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}}


def _cloud_controller(spec: ClusterSpec) -> dict[str, object]:
    networking = {"enabled": spec.network.private, "clusterCIDR": spec.kubernetes_network.cluster_cidr}
    # `bootstrap`: its job tolerates the taint that only the cloud controller removes, and needs neither CNI nor DNS.
    return _chart(*_CLOUD_CONTROLLER, values={"networking": networking}, bootstrap=True)


def _chart(chart: str, version: str, *, values: Mapping[str, object], bootstrap: bool = False) -> dict[str, object]:
    return {
        "spec": {
            "repo": _CHARTS,
            "chart": chart,
            "version": version,
            "targetNamespace": _NAMESPACE,
            "bootstrap": bootstrap,
            "valuesContent": json.dumps(values, indent=2, sort_keys=True),  # JSON is YAML
        }
    }
