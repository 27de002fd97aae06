"""The JSON schema of the configuration file, made from the schema classes: for editors that complete and check.

It is wider than `validate`, never narrower: what one setting asks of another is no matter of it, nor what is not
supported yet. Draft 7, which editors know best.
"""

from __future__ import annotations

from typing import Any, Final

from pydantic.fields import FieldInfo

from hetzner_k3s.config.moved import GONE, MOVED
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.pools import WorkerPool
from hetzner_k3s.config.schema.section import Section
from hetzner_k3s.config.schema.sections import is_list, section_in, value_schema
from hetzner_k3s.config.schema.support import not_yet

DIALECT: Final = "http://json-schema.org/draft-07/schema#"
_DEMANDED_BY_RULES: Final[dict[type[Section], tuple[str, ...]]] = {WorkerPool: ("name",)}
"""What is no field without a default, and still never left out (checks/settings.py)."""


def document() -> dict[str, Any]:
    """Return the whole schema."""
    return {
        "$schema": DIALECT,
        "title": "Cluster configuration of hetzner-k3s",
        **_object(Configuration, ""),
        # The user's own keys, a place for anchors.
        "patternProperties": {"^x-": {}},
    }


def _object(section: type[Section], prefix: str) -> dict[str, Any]:
    fields = section.model_fields
    required = [name for name, field in fields.items() if field.is_required()]
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [*required, *_DEMANDED_BY_RULES.get(section, ())],
        "properties": {
            **{name: _setting(field, f"{prefix}{name}") for name, field in fields.items()},
            **_old_keys(prefix),
        },
    }


def _setting(field: FieldInfo, key: str) -> dict[str, Any]:
    value = _value(field, key)
    if not field.is_required():
        value = _or_nothing(value)
    described = {"description": f"{field.description}{not_yet(key)}", **value}
    default = field.get_default(call_default_factory=False)
    if isinstance(default, str | int | list) and default not in ("", []):
        described["default"] = default
    return described


def _value(field: FieldInfo, key: str) -> dict[str, Any]:
    child = section_in(field.annotation)
    if child is None:
        return _without_titles(value_schema(field))
    if is_list(field):
        return {"type": "array", "items": _object(child, f"{key}[].")}
    return _object(child, f"{key}.")


def _without_titles(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out the names of types, which editors show in the place of the key's."""
    kept = {name: part for name, part in schema.items() if name != "title"}
    return {**kept, "items": _without_titles(kept["items"])} if isinstance(kept.get("items"), dict) else kept


def _or_nothing(schema: dict[str, Any]) -> dict[str, Any]:
    """Allow a key with nothing after it, which counts as left out."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    nullable = {**schema, "type": [*types, "null"]}
    if "enum" in schema:
        nullable["enum"] = [*schema["enum"], None]
    return nullable


def _old_keys(prefix: str) -> dict[str, dict[str, Any]]:
    """Return the keys of older releases that a section may hold: they are ignored with a warning."""
    told = {
        **{old: f"Ignored, as in 2.6: set {new} instead." for old, new in MOVED.items()},
        **{old: f"Ignored, as in 2.6: {why}." for old, why in GONE.items()},
    }
    return {
        old.removeprefix(prefix): {"description": what, "deprecated": True}
        for old, what in told.items()
        if old.startswith(prefix) and "." not in old.removeprefix(prefix)
    }
