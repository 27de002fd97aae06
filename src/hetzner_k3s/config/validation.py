"""The tree against the schema: every mistake in words, and a configuration to check further in spite of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hetzner_k3s.config import hints, moved
from hetzner_k3s.config.checks.findings import Finding
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.scalars import describe
from hetzner_k3s.config.schema.sections import section_at
from hetzner_k3s.config.source import Scalar, Tree
from hetzner_k3s.model.text.settings import KeyPath

MAX_FINDINGS: Final = 100
_ROUNDS: Final = 12
"""How often a repaired tree is tried again: an example filled in may lack things itself, once a level of nesting."""


@dataclass(frozen=True, slots=True)
class Validated:
    """`configuration` with defaults and examples in the place of the `broken` settings; `findings` are the mistakes."""

    configuration: Configuration
    findings: tuple[Finding, ...]
    broken: tuple[KeyPath, ...]


def validate(tree: Tree) -> Validated:
    """Read the tree as a configuration; mistakes are findings, never exceptions."""
    findings: list[Finding] = []
    broken: list[KeyPath] = []
    given, tree = tree, copy.deepcopy(tree)
    for attempt in range(_ROUNDS):
        try:
            return Validated(Configuration.model_validate(tree), tuple(findings), tuple(broken))
        except ValidationError as failure:
            errors = failure.errors(include_url=False)
        if attempt == 0:
            findings += _in_words(errors)
        broken += [_repair(tree, error) for error in errors]
        broken += [meant for error in errors[:MAX_FINDINGS] if (meant := _meant(given, error))]
    raise AssertionError("the schema's examples do not satisfy the schema")


def _in_words(errors: list[ErrorDetails]) -> Iterator[Finding]:
    for error in errors[:MAX_FINDINGS]:
        of_key = error["type"] in ("missing", "extra_forbidden")
        yield Finding(_path(error), _message(error), of_key=of_key)
    if len(errors) > MAX_FINDINGS:
        yield Finding((), f"and {len(errors) - MAX_FINDINGS} more mistakes")


def _path(error: ErrorDetails) -> KeyPath:
    return tuple(error["loc"])


def _message(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "missing":
            return "is required"
        case "extra_forbidden":
            return f"unknown key{hints.in_words(_path(error))}"
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"expected {context['expected']}, got {str(error['input'])[:40]!r}"
        case "list_type":
            return f"expected a list, got {describe(error['input'])}"
        case "model_type" | "model_attributes_type":
            return f"expected a section (`key: value`), got {describe(error['input'])}"
        case _:
            return error["msg"]


def _meant(given: Tree, error: ErrorDetails) -> KeyPath | None:
    """Return the key that an unknown one may be meant for, unless the file has that one too."""
    *section, _ = path = _path(error)
    name = hints.neighbour(path) if error["type"] == "extra_forbidden" else None
    if name is None:
        return None
    beside: Any = given
    for part in section:
        beside = beside[part]
    return None if name in beside else (*section, name)


def empty_keys(paths: Iterable[KeyPath]) -> Iterator[Finding]:
    """Complain of unknown keys with nothing after them, which count as left out otherwise."""
    for path in paths:
        section = section_at(Configuration, path[:-1])
        if section is not None and str(path[-1]) not in section.model_fields and not moved.is_known(path):
            yield Finding(path, f"unknown key{hints.in_words(path)}", of_key=True)


def _repair(tree: Tree, error: ErrorDetails) -> KeyPath:
    """Take the setting out of the tree, or put an example in if it was missing; give the path of what was changed."""
    path = _path(error)
    parents: list[tuple[KeyPath, dict[str, Any]]] = []
    node: Any = tree
    for index, part in enumerate(path):
        if isinstance(node, dict) and isinstance(part, str):
            parents.append((path[: index + 1], node))
        reachable = (isinstance(node, dict) and part in node) or (
            isinstance(node, list) and isinstance(part, int) and part < len(node)
        )
        node = node[part] if reachable else None
    changed, parent = parents[-1]
    name = str(changed[-1])
    if error["type"] == "missing":
        parent[name] = _example(path)
    else:
        parent.pop(name, None)
    return changed


def _example(path: KeyPath) -> Any:
    section = section_at(Configuration, path[:-1])
    assert section is not None
    (example,) = section.model_fields[str(path[-1])].examples or [""]
    return Scalar(example) if isinstance(example, str) else copy.deepcopy(example)
