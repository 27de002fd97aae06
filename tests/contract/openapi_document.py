"""The official OpenAPI document, where it is at hand: every answer the lab gave is validated against it."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from .running_lab import Exchange

_DEFAULT = Path(__file__).parents[2] / ".." / "shared" / "reference" / "hetzner-cloud-openapi.json"

_LATER_THAN_THE_DOCUMENT = {
    # 5 Oct 2026: DELETE answers with an action (docs/facts/hetzner-api.md#changes-of-2026).
    ("DELETE", "/load_balancers/{id}", 201): ("POST", "/load_balancers/{id}/actions/add_target", 201),
}
_REMOVED_FIELDS = {"datacenter"}  # 1 Jul 2026 (docs/facts/hetzner-api.md#changes-of-2026)


def document_path() -> Path | None:
    """Give the document's path, None when it is not at hand."""
    path = Path(os.environ.get("HETZNER_OPENAPI") or _DEFAULT)
    return path if path.is_file() else None


class OpenApiDocument:
    """The schemas of the document, made readable for a JSON Schema validator."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text("utf-8"))
        self._paths: dict[str, Any] = document["paths"]
        self._components = _as_json_schema(document["components"])
        self._validator = cache(self._make_validator)

    def problems(self, exchange: Exchange) -> list[str]:
        """Say what is wrong with an answer."""
        template = self._template(exchange.path)
        if template is None:
            return [] if exchange.status == 404 else [f"{exchange.path}: not in the document"]
        key = (exchange.method, template, exchange.status)
        validator = self._validator(*_LATER_THAN_THE_DOCUMENT.get(key, key))
        if validator is None:
            return [f"{exchange.method} {template}: status {exchange.status} is not in the document"]
        if exchange.body is None:
            return []
        errors = validator.iter_errors(exchange.body)
        return [f"{exchange.method} {template} {e.json_path}: {e.message[:300]}" for e in errors]

    def _template(self, path: str) -> str | None:
        """Give the documented path, the most literal one first (`/servers/actions` before `/servers/{id}`)."""
        for template in sorted(self._paths, key=lambda text: text.count("{")):
            if re.fullmatch(re.sub(r"\{[^}]+\}", r"\\d+", template), path):
                return template
        return None

    def _make_validator(self, method: str, template: str, status: int) -> Draft202012Validator | None:
        operation = self._paths[template].get(method.lower())
        if operation is None:
            return Draft202012Validator({}) if status in (401, 405) else None
        answers = operation["responses"]
        answer = answers.get(str(status)) or answers.get(f"{status // 100}xx" if status >= 400 else "")
        if answer is None:
            return None
        schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
        return Draft202012Validator({**_as_json_schema(schema), "components": self._components})


def _as_json_schema(node: Any) -> Any:
    """Turn OpenAPI 3.0 into JSON Schema: `nullable` becomes a type, and what was removed is not required."""
    if isinstance(node, list):
        return [_as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: _as_json_schema(value) for key, value in node.items() if key not in ("nullable", "example", "format")
    }
    if isinstance(schema.get("required"), list):
        schema["required"] = [name for name in schema["required"] if name not in _REMOVED_FIELDS]
    if node.get("nullable") is True:
        return {"anyOf": [schema, {"type": "null"}]}
    return schema
