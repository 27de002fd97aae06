"""Label and field selectors. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hetzner_k3s.lab.k3s.api.status import bad_request

Test = Callable[[Mapping[str, Any]], bool]

_SET = re.compile(r"^\s*(\S+)\s+(in|notin)\s*\(([^)]*)\)\s*$")


def _split(selector: str) -> list[str]:
    return [part.strip() for part in re.split(r",(?![^(]*\))", selector) if part.strip()]


def labels(selector: str) -> Test:
    """Compile a label selector (`a=b,c!=d,e in (f,g),h,!i`).

    Raises:
        ApiError: 400 for a selector that cannot be read.
    """
    tests = [_label_test(part) for part in _split(selector)]
    return lambda obj: all(test(obj.get("metadata", {}).get("labels") or {}) for test in tests)


def _label_test(part: str) -> Test:
    if found := _SET.match(part):
        key, operator, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        if operator == "in":
            return lambda have: have.get(key) in values
        return lambda have: have.get(key) not in values
    if "=" in part:
        key, negated, value = _comparison(part)
        return lambda have: (have.get(key) == value) != negated
    if part.startswith("!"):
        return lambda have: part[1:].strip() not in have
    if re.fullmatch(r"[\w./-]+", part):
        return lambda have: part in have
    raise bad_request(f"unable to parse requirement: {part}")


def _comparison(part: str) -> tuple[str, bool, str]:
    key, _, value = part.partition("=")
    return key.rstrip("!").strip(), key.endswith("!"), value.lstrip("=").strip()


def fields(selector: str) -> Test:
    """Compile a field selector (`metadata.name=x,spec.nodeName!=y`); a missing field is the empty string."""
    tests = []
    for part in _split(selector):
        path, negated, value = _comparison(part)
        tests.append((path.split("."), negated, value))
    return lambda obj: all((_field(obj, path) == value) != negated for path, negated, value in tests)


def _field(obj: Any, path: list[str]) -> str:
    for step in path:
        obj = obj.get(step) if isinstance(obj, Mapping) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)


def both(label_selector: str, field_selector: str) -> Test:
    """Compile the two selectors of one request."""
    by_label, by_field = labels(label_selector), fields(field_selector)
    return lambda obj: by_label(obj) and by_field(obj)
