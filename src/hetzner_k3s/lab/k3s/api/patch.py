"""The four ways to change an object by a patch: JSON patch, merge patch, strategic merge, server-side apply. Pure."""

from __future__ import annotations

import copy
from typing import Any

from hetzner_k3s.lab.k3s.api.status import ApiError, bad_request

# Lists of objects that strategic merge joins by a key; every other list is replaced as a whole.
_MERGE_KEYS = {
    "conditions": "type",
    "addresses": "type",
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "imagePullSecrets": "name",
    "secrets": "name",
    "ports": "containerPort",
    "ownerReferences": "uid",
    "taints": "",
    "tolerations": "",
}
_UNION_LISTS = ("finalizers",)


def merge(target: Any, patch: Any) -> Any:
    """Apply an RFC 7386 merge patch."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), value)
    return result


def strategic(target: Any, patch: Any, field: str = "") -> Any:
    """Apply a strategic merge patch with its `$patch`, `$deleteFromPrimitiveList` and `$retainKeys` directives."""
    if isinstance(patch, dict):
        return _strategic_map(target if isinstance(target, dict) else {}, patch)
    if isinstance(patch, list) and isinstance(target, list):
        return _strategic_list(target, patch, field)
    return copy.deepcopy(patch)


def _strategic_map(target: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if patch.get("$patch") == "replace":
        return {key: copy.deepcopy(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target)
    if isinstance(keep := patch.get("$retainKeys"), list):
        result = {key: value for key, value in result.items() if key in keep}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            result[name] = [entry for entry in result.get(name) or [] if entry not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            result[key] = strategic(result.get(key), value, key)
    return result


def _strategic_list(target: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in _UNION_LISTS:
        return [*target, *(entry for entry in patch if entry not in target)]
    merge_key = _list_key(field, patch)
    if not merge_key:
        return [entry for entry in copy.deepcopy(patch) if not (isinstance(entry, dict) and "$patch" in entry)]
    if any(isinstance(entry, dict) and entry.get("$patch") == "replace" for entry in patch):
        return [copy.deepcopy(entry) for entry in patch if "$patch" not in entry]
    result = [dict(entry) for entry in target]
    for entry in patch:
        at = next((i for i, old in enumerate(result) if old.get(merge_key) == entry.get(merge_key)), None)
        if entry.get("$patch") == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(copy.deepcopy(entry))
        else:
            result[at] = _strategic_map(result[at], entry)
    return result


def _list_key(field: str, patch: list[Any]) -> str:
    key = _MERGE_KEYS.get(field, "")
    if field == "ports" and any(isinstance(entry, dict) and "port" in entry for entry in patch):
        key = "port"  # a Service's ports; a container's are told apart by containerPort
    return key if all(isinstance(entry, dict) and (key in entry or "$patch" in entry) for entry in patch) else ""


def json_patch(target: Any, operations: Any) -> Any:
    """Apply an RFC 6902 patch.

    Raises:
        ApiError: 422 when a `test` fails or a path does not exist, 400 for no list of operations.
    """
    if not isinstance(operations, list):
        raise bad_request("a JSON patch is a list of operations")
    document = copy.deepcopy(target)
    for operation in operations:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    if kind == "test":
        if _read(document, path) != operation.get("value"):
            raise ApiError(422, f"the server rejected our request: testing path {operation['path']} failed", "Invalid")
        return document
    value = operation.get("value")
    if kind in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy.deepcopy(_read(document, source))
        if kind == "move":
            _change(document, source, "remove", None)
        kind = "add"
    if not path:
        return copy.deepcopy(value)
    _change(document, path, kind, value)
    return document


def _pointer(text: str) -> list[str]:
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(document: Any, path: list[str]) -> Any:
    for step in path:
        try:
            document = document[int(step)] if isinstance(document, list) else document[step]
        except (KeyError, IndexError, ValueError, TypeError) as problem:
            raise ApiError(
                422, f"the server rejected our request: path not found: /{'/'.join(path)}", "Invalid"
            ) from problem
    return document


def _change(document: Any, path: list[str], kind: str, value: Any) -> None:
    parent, last = _read(document, path[:-1]), path[-1]
    if kind == "add" and isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), copy.deepcopy(value))
        return
    if kind in ("remove", "replace"):
        _read(document, path)
    if kind == "remove":
        del parent[int(last) if isinstance(parent, list) else last]
    elif isinstance(parent, list):
        parent[int(last)] = copy.deepcopy(value)
    else:
        parent[last] = copy.deepcopy(value)


def apply(current: dict[str, Any], configuration: dict[str, Any]) -> dict[str, Any]:
    """Apply a configuration server-side: maps are merged, keyed lists are joined, the rest is taken over.

    Ownership of fields is not tracked: a field that a manager stops naming stays.
    """
    return _strategic_map(current, configuration)
