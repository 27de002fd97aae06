"""The Secret `hcloud` and the HelmChart objects that k3s' own helm controller installs.

Versions of Hetzner's charts are those that hetzner-k3s 2.6 pins (docs/facts/compatibility.md#addons). Without a cloud
controller real nodes stay tainted as uninitialized, so nothing else is ever scheduled.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Final

from hetzner_k3s.model import naming
from hetzner_k3s.model.kubernetes import addons
from hetzner_k3s.model.spec import ClusterSpec

ANNOTATION_DIGEST: Final = "hetzner-k3s/digest"
"""On every chart we apply: what it was rendered from, so that a second run sees that there is nothing to write."""

_NAMESPACE: Final = "kube-system"
_HETZNER: Final = "https://charts.hetzner.cloud"
_JETSTACK: Final = "https://charts.jetstack.io"
_DIGEST_DIGITS: Final = 16

Manifest = Mapping[str, object]


def manifests(spec: ClusterSpec, names: Collection[str] | None = None) -> tuple[Manifest, ...]:
    """Return the charts to apply: all that the file asks for, or those of these names."""
    wanted = _wanted(spec).items()
    return tuple(_chart_object(name, content) for name, content in wanted if names is None or name in names)


def credentials(spec: ClusterSpec, applied_by: str) -> Manifest:
    """Return the Secret that the charts' pods read, to be applied before them; `applied_by` is whose token it holds."""
    # `data`, not `stringData`: server-side apply forgets who owns a field of `stringData`.
    values = {"token": spec.hetzner_token.reveal(), "network": spec.network_name}
    annotations = {naming.ANNOTATION_APPLIED_BY: applied_by}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hcloud", "namespace": _NAMESPACE, "annotations": annotations},
        "type": "Opaque",
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()},
    }


def digests(spec: ClusterSpec) -> dict[str, str]:
    """Return the digest of each chart that is applied, by the chart's name."""
    return {name: _digest(content) for name, content in _wanted(spec).items()}


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_DIGEST_DIGITS]


def _wanted(spec: ClusterSpec) -> dict[str, dict[str, object]]:
    charts = {
        addons.CLOUD_CONTROLLER: _cloud_controller(spec),
        addons.CSI_DRIVER: _chart(addons.CSI_DRIVER, values={}),
        addons.CERT_MANAGER: _cert_manager(),
    }
    return {name: content for name, content in charts.items() if addons.wanted(spec)[name]}


def _chart_object(name: str, content: Mapping[str, object]) -> Manifest:
    metadata = {"name": name, "namespace": _NAMESPACE, "annotations": {ANNOTATION_DIGEST: _digest(content)}}
    return {"apiVersion": "helm.cattle.io/v1", "kind": "HelmChart", "metadata": metadata, **content}


def _cloud_controller(spec: ClusterSpec) -> dict[str, object]:
    networking = {"enabled": spec.network.private, "clusterCIDR": spec.kubernetes_network.cluster_cidr}
    # `bootstrap`: its job tolerates the taint that only the cloud controller removes, and needs neither CNI nor DNS.
    return _chart(addons.CLOUD_CONTROLLER, values={"networking": networking}, bootstrap=True)


def _cert_manager() -> dict[str, object]:
    # Its check of itself is a hook that fails the whole release where images or a first worker take over a minute.
    values = {"crds": {"enabled": True}, "startupapicheck": {"enabled": False}}
    return _chart(addons.CERT_MANAGER, values=values, repo=_JETSTACK, namespace="cert-manager")


def _chart(
    chart: str,
    *,
    values: Mapping[str, object],
    repo: str = _HETZNER,
    namespace: str = _NAMESPACE,
    bootstrap: bool = False,
) -> dict[str, object]:
    own = {} if namespace == _NAMESPACE else {"createNamespace": True}
    return {
        "spec": {
            "repo": repo,
            "chart": chart,
            "version": addons.VERSIONS[chart],
            "targetNamespace": namespace,
            **own,
            "bootstrap": bootstrap,
            "valuesContent": json.dumps(values, indent=2, sort_keys=True),  # JSON is YAML
        }
    }
