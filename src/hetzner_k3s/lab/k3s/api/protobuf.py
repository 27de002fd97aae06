"""Kubernetes' protobuf bodies, which `kubectl create` sends for built-in kinds: the fields people set. Pure.

A field is `number: (JSON name, type)`; a type is a scalar, another message, `map of` a scalar, or `list of` any.
"""

from __future__ import annotations

import base64
from typing import Any

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.etcd import wire

MAGIC = b"k8s\x00"

_MESSAGES: dict[str, dict[int, tuple[str, str]]] = {
    "ObjectMeta": {
        1: ("name", "text"),
        2: ("generateName", "text"),
        3: ("namespace", "text"),
        5: ("uid", "text"),
        6: ("resourceVersion", "text"),
        11: ("labels", "map of text"),
        12: ("annotations", "map of text"),
        14: ("finalizers", "list of text"),
    },
    "ConfigMap": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", "map of text"),
        3: ("binaryData", "map of bytes"),
        4: ("immutable", "flag"),
    },
    "Secret": {
        1: ("metadata", "ObjectMeta"),
        2: ("data", "map of bytes"),
        3: ("type", "text"),
        4: ("stringData", "map of text"),
        5: ("immutable", "flag"),
    },
    "Namespace": {1: ("metadata", "ObjectMeta")},
    "ServiceAccount": {1: ("metadata", "ObjectMeta")},
    "Service": {1: ("metadata", "ObjectMeta"), 2: ("spec", "ServiceSpec")},
    "ServiceSpec": {
        1: ("ports", "list of ServicePort"),
        2: ("selector", "map of text"),
        3: ("clusterIP", "text"),
        4: ("type", "text"),
    },
    "ServicePort": {
        1: ("name", "text"),
        2: ("protocol", "text"),
        3: ("port", "number"),
        4: ("targetPort", "IntOrString"),
    },
    "Deployment": {1: ("metadata", "ObjectMeta"), 2: ("spec", "DeploymentSpec")},
    "DeploymentSpec": {1: ("replicas", "number"), 2: ("selector", "LabelSelector"), 3: ("template", "PodTemplateSpec")},
    "LabelSelector": {1: ("matchLabels", "map of text")},
    "PodTemplateSpec": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "Pod": {1: ("metadata", "ObjectMeta"), 2: ("spec", "PodSpec")},
    "PodSpec": {
        2: ("containers", "list of Container"),
        3: ("restartPolicy", "text"),
        6: ("dnsPolicy", "text"),
        8: ("serviceAccountName", "text"),
        10: ("nodeName", "text"),
    },
    "Container": {
        1: ("name", "text"),
        2: ("image", "text"),
        3: ("command", "list of text"),
        4: ("args", "list of text"),
        6: ("ports", "list of ContainerPort"),
        7: ("env", "list of EnvVar"),
        14: ("imagePullPolicy", "text"),
    },
    "ContainerPort": {1: ("name", "text"), 3: ("containerPort", "number"), 4: ("protocol", "text")},
    "EnvVar": {1: ("name", "text"), 2: ("value", "text")},
    "Eviction": {1: ("metadata", "ObjectMeta"), 2: ("deleteOptions", "DeleteOptions")},
    "DeleteOptions": {
        1: ("gracePeriodSeconds", "number"),
        2: ("preconditions", "Preconditions"),
        4: ("propagationPolicy", "text"),
        5: ("dryRun", "list of text"),
    },
    "Preconditions": {1: ("uid", "text"), 2: ("resourceVersion", "text")},
}
_UNKNOWN = {1: ("typeMeta", "TypeMeta"), 2: ("raw", "bytes")}
_MESSAGES["TypeMeta"] = {1: ("apiVersion", "text"), 2: ("kind", "text")}


def decode(data: bytes) -> Obj | None:
    """Read a protobuf body as the JSON object it stands for; None for a kind that is not in the table.

    Raises:
        ValueError: no Kubernetes protobuf.
    """
    if not data.startswith(MAGIC):
        raise ValueError("no Kubernetes protobuf")
    envelope = dict(wire.fields(data[len(MAGIC) :]))
    types = _message("TypeMeta", _bytes(envelope.get(1, b"")))
    kind = str(types.get("kind", ""))
    if kind not in _MESSAGES or kind == "TypeMeta":
        return None
    return types | _message(kind, _bytes(envelope.get(2, b"")))


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("unexpected number")
    return value


def _message(name: str, data: bytes) -> Obj:
    known = _MESSAGES[name]
    result: Obj = {}
    for number, value in wire.fields(data):
        field = known.get(number)
        if field is not None:
            _put(result, field[0], field[1], value)
    return {key: value for key, value in result.items() if value != "" or key in ("value",)}


def _put(result: Obj, name: str, kind: str, value: int | bytes) -> None:
    shape, _, inner = kind.rpartition(" of ")
    if shape == "map":
        entry = dict(wire.fields(_bytes(value)))
        result.setdefault(name, {})[_bytes(entry[1]).decode()] = _scalar(inner, entry.get(2, b""))
    elif shape == "list":
        result.setdefault(name, []).append(_scalar(inner, value))
    else:
        result[name] = _scalar(kind, value)


def _scalar(kind: str, value: int | bytes) -> Any:
    if kind == "number":
        return value
    if kind == "flag":
        return bool(value)
    if kind == "bytes":
        return base64.b64encode(_bytes(value)).decode()
    if kind == "text":
        return _bytes(value).decode()
    return _int_or_string(_bytes(value)) if kind == "IntOrString" else _message(kind, _bytes(value))


def _int_or_string(data: bytes) -> int | str:
    parts = dict(wire.fields(data))
    return _bytes(parts.get(3, b"")).decode() if parts.get(1) else int(parts.get(2, 0))
