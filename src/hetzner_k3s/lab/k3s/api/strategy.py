"""What the API does to an object on its way in: defaults, immutable metadata, finalizers, status apart. Pure."""

from __future__ import annotations

import base64
import copy
import datetime
import re
from typing import Any

from hetzner_k3s.lab.k3s.api.resources import Obj, Resource
from hetzner_k3s.lab.k3s.api.status import bad_request, invalid

_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LOOSE_NAMES = frozenset(("clusterroles", "clusterrolebindings", "roles", "rolebindings"))
_WITHOUT_GENERATION = frozenset(
    ("nodes", "leases", "services", "namespaces", "persistentvolumes", "persistentvolumeclaims")
)
_IMMUTABLE = {
    "deployments": (("spec", "selector"),),
    "daemonsets": (("spec", "selector"),),
    "clusterrolebindings": (("roleRef",),),
    "storageclasses": (("provisioner",), ("parameters",), ("reclaimPolicy",), ("volumeBindingMode",)),
    "csidrivers": (("spec", "attachRequired"), ("spec", "volumeLifecycleModes")),
}
"""What an update must leave as it is, by resource (docs/facts/addons.md#what-cannot-change)."""

FOREGROUND = "foregroundDeletion"
"""The finalizer of an object that goes after its dependents."""

_SERVER_OWNED = ("uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")


def timestamp(now: datetime.datetime) -> str:
    """Render a moment as Kubernetes does (seconds)."""
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_timestamp(now: datetime.datetime) -> str:
    """Render a moment with microseconds, as Leases hold it."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def on_create(resource: Resource, obj: Obj, namespace: str, *, now: datetime.datetime, uid: str, suffix: str) -> Obj:
    """Complete a new object.

    Args:
        resource: what it is.
        obj: as it was sent.
        namespace: from the request's path.
        now: the clock.
        uid: its new uid.
        suffix: five characters for `generateName`.

    Raises:
        ApiError: 400 or 422.
    """
    obj = copy.deepcopy(obj)
    metadata = obj.setdefault("metadata", {})
    obj["apiVersion"], obj["kind"] = _identity(resource, obj)
    if not metadata.get("name") and metadata.get("generateName"):
        metadata["name"] = metadata["generateName"] + suffix
    _check_name(resource, str(metadata.get("name") or ""))
    _set_namespace(resource, metadata, namespace)
    for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "selfLink"):
        metadata.pop(key, None)
    metadata |= {"uid": uid, "creationTimestamp": timestamp(now)}
    if "spec" in obj and resource.plural not in _WITHOUT_GENERATION:
        metadata["generation"] = 1
    return _defaults(resource, obj, now)


def _identity(resource: Resource, obj: Obj) -> tuple[str, str]:
    sent = obj.get("apiVersion") or resource.api_version, obj.get("kind") or resource.kind
    if sent != (resource.api_version, resource.kind):
        raise bad_request(
            f"the API version in the data ({sent[0]}, Kind={sent[1]}) does not match the expected API version "
            f"({resource.api_version}, Kind={resource.kind})"
        )
    return sent


def _check_name(resource: Resource, name: str) -> None:
    if not name:
        raise invalid(resource, "", "metadata.name: Required value: name or generateName is required")
    if resource.plural not in _LOOSE_NAMES and not _NAME.fullmatch(name):
        raise invalid(resource, name, f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain')


def _set_namespace(resource: Resource, metadata: Obj, namespace: str) -> None:
    if not resource.namespaced:
        metadata.pop("namespace", None)
        return
    sent = metadata.setdefault("namespace", namespace or "default")
    if namespace and sent != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def _defaults(resource: Resource, obj: Obj, now: datetime.datetime) -> Obj:
    if resource.plural == "namespaces":
        obj.setdefault("spec", {}).setdefault("finalizers", ["kubernetes"])
        obj["status"] = {"phase": "Active"}
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    elif resource.plural == "secrets":
        _encode_strings(obj)
        obj.setdefault("type", "Opaque")
    elif resource.plural == "customresourcedefinitions":
        obj["status"] = _established(obj, now)
    elif resource.plural in ("deployments", "statefulsets", "replicasets"):
        obj.setdefault("spec", {}).setdefault("replicas", 1)
    return obj


def _encode_strings(obj: Obj) -> None:
    for key, text in (obj.pop("stringData", None) or {}).items():
        obj.setdefault("data", {})[key] = base64.b64encode(str(text).encode()).decode()


def _established(definition: Obj, now: datetime.datetime) -> Obj:
    names = dict(definition["spec"]["names"])
    names.setdefault("listKind", names["kind"] + "List")
    names.setdefault("singular", names["kind"].lower())
    definition["spec"]["names"] = names
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": timestamp(now)}
        for kind, reason, message in (
            ("NamesAccepted", "NoConflicts", "no conflicts found"),
            ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        )
    ]
    stored = [version["name"] for version in definition["spec"]["versions"] if version.get("storage")]
    return {"acceptedNames": names, "conditions": conditions, "storedVersions": stored}


def on_update(resource: Resource, old: Obj, new: Obj, subresource: str) -> Obj:
    """Complete a changed object: what the server owns stays, and status moves only through its subresource.

    Raises:
        ApiError: 422 when something immutable changed.
    """
    new = copy.deepcopy(new)
    if subresource == "status":
        status = new.get("status")
        return copy.deepcopy(old) | ({"status": status} if status is not None else {})
    metadata, before = new.setdefault("metadata", {}), old["metadata"]
    for key in _SERVER_OWNED:
        metadata.pop(key, None)
        if key in before:
            metadata[key] = before[key]
    metadata["name"] = before["name"]
    if "namespace" in before:
        metadata["namespace"] = before["namespace"]
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]
    if resource.has_status:
        new.pop("status", None)
        new |= {"status": old["status"]} if "status" in old else {}
    if resource.plural == "secrets":
        _encode_strings(new)
    _check_immutable(resource, old, new)
    if "generation" in before and old.get("spec") != new.get("spec"):
        metadata["generation"] = before["generation"] + 1
    return new


def _check_immutable(resource: Resource, old: Obj, new: Obj) -> None:
    name = old["metadata"]["name"]
    if resource.plural == "nodes":
        provider = old.get("spec", {}).get("providerID")
        if provider and new.get("spec", {}).get("providerID") != provider:
            raise invalid(
                resource,
                name,
                'spec.providerID: Forbidden: node updates may not change providerID except from "" to valid',
            )
    for path in _IMMUTABLE.get(resource.plural, ()):
        if _at(old, path) != _at(new, path):
            raise invalid(resource, name, f"{'.'.join(path)}: Invalid value: field is immutable")
    if old.get("immutable") and any(old.get(key) != new.get(key) for key in ("data", "binaryData", "immutable")):
        raise invalid(resource, name, "data: Forbidden: field is immutable when `immutable` is set")
    if resource.plural == "secrets" and new.get("type", old.get("type")) != old.get("type"):
        raise invalid(resource, name, "type: Invalid value: field is immutable")


def _at(obj: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        obj = (obj or {}).get(key)
    return obj


def same(old: Obj, new: Obj) -> bool:
    """Check whether an update changes nothing; then nothing is written and the version stays."""
    return _without_version(old) == _without_version(new)


def _without_version(obj: Obj) -> Obj:
    return obj | {
        "metadata": {k: v for k, v in obj["metadata"].items() if k not in ("resourceVersion", "managedFields")}
    }


def marked_for_deletion(obj: Obj, now: datetime.datetime) -> Obj:
    """Return the object as it waits for its finalizers."""
    obj = copy.deepcopy(obj)
    obj["metadata"] |= {"deletionTimestamp": timestamp(now), "deletionGracePeriodSeconds": 0}
    if "generation" in obj["metadata"]:
        obj["metadata"]["generation"] += 1
    if obj["kind"] == "Namespace":
        obj["status"] = {"phase": "Terminating"}
    return obj


def held_for_dependents(obj: Obj) -> Obj:
    """Return the object with the finalizer that keeps it until its dependents have gone."""
    held = list(obj["metadata"].get("finalizers") or [])
    return obj | {"metadata": obj["metadata"] | {"finalizers": [*held, *([] if FOREGROUND in held else [FOREGROUND])]}}


def finalizers(obj: Obj) -> list[Any]:
    """List what must happen before the object may go; a namespace has its own in spec."""
    own = list(obj["metadata"].get("finalizers") or [])
    if obj.get("kind") == "Namespace":
        own += obj.get("spec", {}).get("finalizers") or []
    return own


def is_finished(obj: Obj) -> bool:
    """Check whether a marked object may now be removed."""
    return "deletionTimestamp" in obj["metadata"] and not finalizers(obj)
