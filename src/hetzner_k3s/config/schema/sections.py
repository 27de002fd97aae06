"""Finds its way in the schema: every key, and the section that belongs to a place of the file."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.section import Section
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.settings import KeyPath


def section_at(root: type[Section], path: KeyPath) -> type[Section] | None:
    """Find the schema of the section that stands at a path."""
    current: type[Section] | None = root
    for part in path:
        if isinstance(part, str) and current is not None:
            field = current.model_fields.get(part)
            current = section_in(field.annotation) if field else None
    return current


def section_in(annotation: Any) -> type[Section] | None:
    """Find the section inside a type: `Section`, `Section | None`, `list[Section]`."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, Section) else None
    return next(filter(None, map(section_in, get_args(annotation))), None)


def walk(section: type[Section] = Configuration, prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Return every key of a section with its declaration, parents before children; `[]` marks entries of a list."""
    for name, field in section.model_fields.items():
        key = f"{prefix}{name}"
        yield key, field
        if child := section_in(field.annotation):
            yield from walk(child, f"{key}[]." if is_list(field) else f"{key}.")


def default_of(path: KeyPath) -> str | None:
    """Write the default of a setting as the file would; None where it has none, or it is empty or a section."""
    section = section_at(Configuration, path[:-1])
    field = section.model_fields.get(str(path[-1])) if section and path else None
    if field is None or field.is_required() or section_in(field.annotation):
        return None
    default = field.get_default(call_default_factory=True)
    if isinstance(default, Secret):
        return None
    if isinstance(default, list):
        return f"[{', '.join(map(str, default))}]" if default else None
    return str(default).lower() if isinstance(default, bool) else str(default or "") or None


def is_list(field: FieldInfo) -> bool:
    """Check whether a key takes a list."""
    return "list[" in str(field.annotation)


def value_schema(field: FieldInfo) -> dict[str, Any]:
    """Return the JSON schema of a setting's value, without the `null` that stands for one left out."""
    schema: dict[str, Any] = TypeAdapter[Any](field.rebuild_annotation()).json_schema()
    return next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)
