"""What clients ask before they ask for objects: groups, resources, a little OpenAPI for `kubectl apply`, health."""

from __future__ import annotations

from collections.abc import Iterable

from hetzner_k3s.lab.k3s.api.resources import Obj, Resource

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_STATUS_VERBS = ["get", "patch", "update"]
# Answered without storage (api.http).
_REVIEWS = {
    "authorization.k8s.io/v1": (("selfsubjectaccessreviews", "SelfSubjectAccessReview"),),
    "authentication.k8s.io/v1": (("selfsubjectreviews", "SelfSubjectReview"),),
}

OPENAPI_V2 = b"\x0a\x032.0"
"""The protobuf document `swagger: "2.0"` without definitions: kubectl asks for it before it applies a `kind: List`, and
does not validate what it has no definition of.
"""
OPENAPI_V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"

HEALTH_CHECKS = (
    "ping",
    "log",
    "etcd",
    "etcd-readiness",
    "informer-sync",
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/aggregator-reload-proxy-client-cert",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
    "shutdown",
)


def health_text(endpoint: str, etcd_ok: bool) -> str:
    """Render `/readyz?verbose` or `/livez?verbose` (fixtures kube/readyz_verbose.txt, kube/livez_verbose.txt)."""
    failing = () if etcd_ok else ("etcd", "etcd-readiness")
    checks = list(HEALTH_CHECKS)
    if endpoint == "livez":
        checks = [check for check in checks if check not in ("etcd-readiness", "informer-sync", "shutdown")]
        checks.insert(2, "loopback-serving-certificate")
    lines = [f"[-]{check} failed: reason withheld" if check in failing else f"[+]{check} ok" for check in checks]
    return "\n".join([*lines, f"{endpoint} check {'passed' if etcd_ok else 'failed'}"]) + "\n"


def versions(address: str) -> Obj:
    """Answer `/api`."""
    networks = [{"clientCIDR": "0.0.0.0/0", "serverAddress": f"{address}:6443"}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": networks}


def groups(resources: Iterable[Resource]) -> Obj:
    """Answer `/apis`."""
    found: dict[str, list[str]] = {}
    names = [(r.group, r.version) for r in resources if r.group]
    for group, version in [*names, *((gv.split("/")[0], gv.split("/")[1]) for gv in _REVIEWS)]:
        known = found.setdefault(group, [])
        if version not in known:
            known.append(version)
    return {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [_group(name, known) for name, known in found.items()],
    }


def _group(name: str, known: list[str]) -> Obj:
    rows = [{"groupVersion": f"{name}/{version}", "version": version} for version in known]
    return {"name": name, "versions": rows, "preferredVersion": rows[0]}


def group(name: str, resources: Iterable[Resource]) -> Obj | None:
    """Answer `/apis/<group>`."""
    found = next((row for row in groups(resources)["groups"] if row["name"] == name), None)
    return {"kind": "APIGroup", "apiVersion": "v1", **found} if found else None


def resource_list(api_version: str, resources: Iterable[Resource]) -> Obj | None:
    """Answer `/api/v1` or `/apis/<group>/<version>`."""
    rows: list[Obj] = []
    for resource in resources:
        if resource.api_version == api_version:
            rows += _entries(resource)
    rows += [_entry(plural, kind, False, ["create"]) for plural, kind in _REVIEWS.get(api_version, ())]
    if not rows:
        return None
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": api_version, "resources": rows}


def _entries(resource: Resource) -> list[Obj]:
    first = _entry(resource.plural, resource.kind, resource.namespaced, _VERBS)
    first |= {"singularName": resource.kind.lower()} | (
        {"shortNames": list(resource.short_names)} if resource.short_names else {}
    )
    rows = [first]
    if resource.has_status:
        rows.append(_entry(f"{resource.plural}/status", resource.kind, resource.namespaced, _STATUS_VERBS))
    if resource.plural == "pods":
        rows.append(_entry("pods/eviction", "Eviction", True, ["create"]) | {"group": "policy", "version": "v1"})
    return rows


def _entry(name: str, kind: str, namespaced: bool, verbs: list[str]) -> Obj:
    return {"name": name, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": verbs}


def openapi_index(resources: Iterable[Resource]) -> Obj:
    """Answer `/openapi/v3`: one document a group version."""
    paths = {_openapi_path(resource) for resource in resources}
    return {"paths": {path: {"serverRelativeURL": f"/openapi/v3/{path}?hash=LAB"} for path in sorted(paths)}}


def _openapi_path(resource: Resource) -> str:
    return f"apis/{resource.api_version}" if resource.group else f"api/{resource.version}"


def openapi_document(path: str, resources: Iterable[Resource], version: str) -> Obj | None:
    """Answer `/openapi/v3/<path>`: kubectl looks for the `fieldValidation` parameter of an object's PATCH."""
    mine = [resource for resource in resources if _openapi_path(resource) == path]
    if not mine:
        return None
    paths: Obj = {}
    for resource in mine:
        space = "namespaces/{namespace}/" if resource.namespaced else ""
        paths[f"/{path}/{space}{resource.plural}/{{name}}"] = {"patch": _patch_operation(resource)}
    info = {"title": "Kubernetes", "version": version}
    return {"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": {}}}


def _patch_operation(resource: Resource) -> Obj:
    kind = {"group": resource.group, "version": resource.version, "kind": resource.kind}
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for name in names]
    responses = {"200": {"description": "OK"}}
    return {
        "x-kubernetes-action": "patch",
        "x-kubernetes-group-version-kind": kind,
        "parameters": parameters,
        "responses": responses,
    }
