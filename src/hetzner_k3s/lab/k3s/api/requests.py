"""A request to the API taken apart: resource path, query, body. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from hetzner_k3s.lab.k3s.api import patch, protobuf
from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.api.status import ApiError, bad_request

APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names; `name` and `subresource` may be empty."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_path(path: str) -> Target | None:
    """Take a resource path apart (`/api/v1/...`, `/apis/<group>/<version>/...`); None for any other path."""
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["api", "v1"]:
        group, version, rest = "", "v1", parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces" and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    if not rest or len(rest) > 3:
        return None
    name, subresource = (*rest[1:], "", "")[:2]
    return Target(group, version, rest[0], namespace, name, subresource)


def parse_body(data: bytes, content_type: str) -> Obj:
    """Read a request body as JSON, or as YAML where the client says so.

    Raises:
        ApiError: 400 or 415.
    """
    kind = content_type.partition(";")[0].strip()
    try:
        if kind == "application/vnd.kubernetes.protobuf":
            return _protobuf(data)
        document = json.loads(data) if "yaml" not in kind else _yaml(data)
    except ValueError as problem:
        raise bad_request(f"couldn't get version/kind; json parse error: {problem}") from problem
    return document


def _protobuf(data: bytes) -> Obj:
    document = protobuf.decode(data)
    if document is None:
        text = "the body of the request was in an unknown format - accepted media types include: application/json"
        raise ApiError(415, text)
    return document


def _yaml(data: bytes) -> Obj:
    try:
        return json.loads(data)  # type: ignore[no-any-return]
    except ValueError:
        import yaml

        return yaml.load(data, Loader=yaml.CSafeLoader)  # type: ignore[no-any-return]


def patched(obj: Obj, body: Obj, content_type: str, custom: bool) -> Obj:
    """Apply a patch of the kind its content type names.

    Raises:
        ApiError: 415 for an unknown kind, or for a strategic merge of a custom resource.
    """
    kind = content_type.partition(";")[0].strip()
    if kind == "application/json-patch+json":
        return patch.json_patch(obj, body)  # type: ignore[no-any-return]
    if kind == "application/merge-patch+json":
        return patch.merge(obj, body)  # type: ignore[no-any-return]
    if kind == "application/strategic-merge-patch+json" and not custom:
        return patch.strategic(obj, body)  # type: ignore[no-any-return]
    if kind == APPLY:
        return patch.apply(obj, body)
    raise ApiError(415, f"the body of the request was in an unknown format - {kind}")


def is_on(query: Mapping[str, str], name: str) -> bool:
    """Check whether a boolean query parameter is set."""
    return query.get(name, "").lower() in ("true", "1")
