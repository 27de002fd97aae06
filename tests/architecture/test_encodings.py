"""Texts are read and written as UTF-8, whatever the locale of the machine; the lab's own files never leave it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_SOURCE: Final = Path(__file__).parents[2] / "src" / "hetzner_k3s"
_OPEN: Final = frozenset({"open", "fdopen", "read_text", "write_text"})
_OF_BYTES: Final = frozenset({"os", "archive"})
"""Whose `open` gives no text."""


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Give each place where a file may be opened as text, with its file and line."""
    for file in sorted(_SOURCE.rglob("*.py")):
        text, name = file.read_text(), str(file.relative_to(_SOURCE))
        if name.startswith("lab/") or not any(f"{word}(" in text for word in _OPEN):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and _name(node.func) in _OPEN:
                yield f"{name}:{node.lineno}", node


def _name(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=module), attr="open") if module in _OF_BYTES:
            return ""
        case ast.Attribute(attr=name):
            return name
    return ""


def _names_its_encoding(call: ast.Call) -> bool:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    binary = any(isinstance(value, ast.Constant) and value.value in {"rb", "wb", "ab", "xb"} for value in given)
    return binary or any(keyword.arg == "encoding" for keyword in call.keywords)


def test_a_text_is_opened_with_its_encoding() -> None:
    """Where the locale is not UTF-8, the `…` of a first file ended `init` with a report of a bug, and an empty file."""
    calls = dict(_calls())
    assert len(calls) > 30
    assert [place for place, call in calls.items() if not _names_its_encoding(call)] == []
