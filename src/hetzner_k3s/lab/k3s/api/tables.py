"""Server-side printing: the Table that `kubectl get` shows."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from hetzner_k3s.lab.k3s.api.resources import Obj, Resource

Cell = Callable[[Obj, datetime.datetime], Any]


def _path(obj: Any, path: str) -> Any:
    for step in path.lstrip(".").split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def parse_time(text: str) -> datetime.datetime:
    """Read a Kubernetes time stamp, with or without microseconds."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def age(text: str | None, now: datetime.datetime) -> str:
    """Render how long ago a time stamp was, in kubectl's short form."""
    if not text:
        return "<unknown>"
    seconds = max(0, int((now - parse_time(text)).total_seconds()))
    if seconds < 120:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 10:
        return f"{minutes}m{seconds}s" if seconds else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    hours, minutes = divmod(minutes, 60)
    if hours < 8:
        return f"{hours}h{minutes}m" if minutes else f"{hours}h"
    return f"{hours}h" if hours < 48 else f"{hours // 24}d"


def _name(obj: Obj, _now: datetime.datetime) -> str:
    return str(obj["metadata"].get("name", ""))


def _age(obj: Obj, now: datetime.datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _at(path: str, default: Any = "<none>") -> Cell:
    def cell(obj: Obj, _now: datetime.datetime) -> Any:
        value = _path(obj, path)
        return default if value in (None, "") else value

    return cell


def _count(path: str) -> Cell:
    return lambda obj, _now: len(_path(obj, path) or ())


def _node_status(obj: Obj, _now: datetime.datetime) -> str:
    conditions = obj.get("status", {}).get("conditions", ())
    ready = next((row["status"] for row in conditions if row["type"] == "Ready"), "Unknown")
    word = "Ready" if ready == "True" else "NotReady" if conditions else "Unknown"
    return word + (",SchedulingDisabled" if obj.get("spec", {}).get("unschedulable") else "")


def _node_roles(obj: Obj, _now: datetime.datetime) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    return ",".join(roles) or "<none>"


def _node_address(kind: str) -> Cell:
    def cell(obj: Obj, _now: datetime.datetime) -> str:
        rows = obj.get("status", {}).get("addresses", ())
        return next((row["address"] for row in rows if row["type"] == kind), "<none>")

    return cell


def _ready_replicas(obj: Obj, _now: datetime.datetime) -> str:
    return f"{_path(obj, 'status.readyReplicas') or 0}/{_path(obj, 'spec.replicas') or 0}"


_NODE_COLUMNS: tuple[tuple[str, Cell, int], ...] = (
    ("Name", _name, 0),
    ("Status", _node_status, 0),
    ("Roles", _node_roles, 0),
    ("Age", _age, 0),
    ("Version", _at("status.nodeInfo.kubeletVersion", ""), 0),
    ("Internal-IP", _node_address("InternalIP"), 1),
    ("External-IP", _node_address("ExternalIP"), 1),
    ("OS-Image", _at("status.nodeInfo.osImage", "<unknown>"), 1),
    ("Kernel-Version", _at("status.nodeInfo.kernelVersion", "<unknown>"), 1),
    ("Container-Runtime", _at("status.nodeInfo.containerRuntimeVersion", "<unknown>"), 1),
)
_COLUMNS: dict[str, tuple[tuple[str, Cell, int], ...]] = {
    "nodes": _NODE_COLUMNS,
    "namespaces": (("Name", _name, 0), ("Status", _at("status.phase"), 0), ("Age", _age, 0)),
    "configmaps": (("Name", _name, 0), ("Data", _count("data"), 0), ("Age", _age, 0)),
    "secrets": (("Name", _name, 0), ("Type", _at("type"), 0), ("Data", _count("data"), 0), ("Age", _age, 0)),
    "leases": (("Name", _name, 0), ("Holder", _at("spec.holderIdentity"), 0), ("Age", _age, 0)),
    "events": (
        (
            "Last Seen",
            lambda obj, now: age(obj.get("lastTimestamp") or obj["metadata"].get("creationTimestamp"), now),
            0,
        ),
        ("Type", _at("type"), 0),
        ("Reason", _at("reason"), 0),
        (
            "Object",
            lambda obj, _now: f"{obj['involvedObject'].get('kind', '').lower()}/{obj['involvedObject'].get('name')}",
            0,
        ),
        ("Message", _at("message"), 0),
        ("Name", _name, 1),
    ),
    "deployments": (
        ("Name", _name, 0),
        ("Ready", _ready_replicas, 0),
        ("Up-to-date", _at("status.updatedReplicas", 0), 0),
        ("Available", _at("status.availableReplicas", 0), 0),
        ("Age", _age, 0),
    ),
    "customresourcedefinitions": (("Name", _name, 0), ("Created At", _at("metadata.creationTimestamp"), 0)),
}
_DEFAULT: tuple[tuple[str, Cell, int], ...] = (("Name", _name, 0), ("Age", _age, 0))


def _columns(resource: Resource) -> tuple[tuple[str, Cell, int], ...]:
    if resource.custom and resource.columns:
        own = tuple((name, _at(path, ""), 0) for name, _, path in resource.columns)
        return (("Name", _name, 0), *own)
    return _COLUMNS.get(resource.plural, _DEFAULT)


def render(resource: Resource, objects: list[Obj], revision: str, now: datetime.datetime) -> Obj:
    """Render objects as a `meta.k8s.io/v1` Table."""
    columns = _columns(resource)
    definitions = [
        {
            "name": name,
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": priority,
        }
        for name, _, priority in columns
    ]
    rows = [{"cells": [cell(obj, now) for _, cell, _ in columns], "object": _partial(obj)} for obj in objects]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _partial(obj: Obj) -> Obj:
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
