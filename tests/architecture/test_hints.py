"""Every error that a user reads says what to do (docs/architecture.md#law-9)."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from hetzner_k3s.model import errors

_SOURCE = Path(__file__).parents[2] / "src" / "hetzner_k3s"
_ROOMS = ("act", "adapters", "cli", "hosts", "observe", "reconcile.py")
_TELL_WHAT_ANOTHER_SAID = frozenset(
    {
        "adapters/s3.py",
        "adapters/system/channel.py",
        "hosts/operations.py",
    }
)
"""What an API or a host answered is passed on as it is; what to do about it says the step that asked."""
_ERRORS = {
    name
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, errors.ProductError) and "hint" in inspect.signature(kind).parameters
}


def _calls() -> Iterator[tuple[str, ast.Call]]:
    """Give each place where an error is made, with its file and line."""
    for room in _ROOMS:
        place = _SOURCE / room
        for file in [place] if place.is_file() else sorted(place.rglob("*.py")):
            name = str(file.relative_to(_SOURCE))
            if name not in _TELL_WHAT_ANOTHER_SAID:
                for node in ast.walk(ast.parse(file.read_text())):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ERRORS:
                        yield f"{name}:{node.lineno}", node


def _says_what_to_do(call: ast.Call) -> bool:
    hint = next((keyword.value for keyword in call.keywords if keyword.arg == "hint"), None)
    return hint is not None and not (isinstance(hint, ast.Constant) and not hint.value)


def test_an_error_says_what_to_do() -> None:
    calls = dict(_calls())
    assert len(calls) > 50
    assert [place for place, call in calls.items() if not _says_what_to_do(call)] == []
