"""The definitions that k3s itself brings into every cluster."""

from __future__ import annotations

from hetzner_k3s.lab.k3s.api.resources import Obj

Columns = tuple[tuple[str, str], ...]


def _definition(group: str, plural: str, kind: str, scope: str, *, short: str = "", columns: Columns = ()) -> Obj:
    names: Obj = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    names |= {"shortNames": [short]} if short else {}
    printed = [{"name": name, "type": "string", "jsonPath": path} for name, path in columns]
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema, "subresources": {"status": {}}}
    version |= {"additionalPrinterColumns": printed} if printed else {}
    spec = {"group": group, "names": names, "scope": scope, "versions": [version]}
    return {"metadata": {"name": f"{plural}.{group}"}, "spec": spec}


DEFINITIONS = (
    _definition(
        "k3s.cattle.io",
        "addons",
        "Addon",
        "Namespaced",
        columns=(("Source", ".spec.source"), ("Checksum", ".spec.checksum")),
    ),
    _definition(
        "k3s.cattle.io",
        "etcdsnapshotfiles",
        "ETCDSnapshotFile",
        "Cluster",
        columns=(("SnapshotName", ".spec.snapshotName"), ("Node", ".spec.nodeName"), ("Size", ".status.size")),
    ),
    _definition("helm.cattle.io", "helmchartconfigs", "HelmChartConfig", "Namespaced", short="hcc"),
    _definition(
        "helm.cattle.io",
        "helmcharts",
        "HelmChart",
        "Namespaced",
        short="hc",
        columns=(("Repo", ".spec.repo"), ("Chart", ".spec.chart"), ("Version", ".spec.version")),
    ),
)
