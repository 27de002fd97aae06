"""The numbers of docs/reference/waits.md are those of the code, and no patience of the code is missing there."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| [^|]+ \| ([\d.]+) \| `([\w/]+)\.py` `(\w+)` \|$", re.MULTILINE)
_ROWS = _ROW.findall((_ROOT / "docs/reference/waits.md").read_text())
_ROOMS = ("act", "adapters", "hosts", "observe")


def _patience() -> Iterator[tuple[str, str]]:
    """Give each number with a fraction that the top of a module names: all of these are seconds, or shares of them."""
    source = _ROOT / "src" / "hetzner_k3s"
    files = [source / "reconcile.py", *(file for room in _ROOMS for file in (source / room).rglob("*.py"))]
    for file in files:
        for statement in ast.parse(file.read_text()).body:
            if isinstance(statement, (ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Constant):
                target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
                if isinstance(statement.value.value, float) and isinstance(target, ast.Name):
                    yield str(file.relative_to(source).with_suffix("")), target.id


@pytest.mark.parametrize(("number", "module", "name"), _ROWS, ids=lambda part: part)
def test_the_page_says_how_long(number: str, module: str, name: str) -> None:
    value = getattr(importlib.import_module(f"hetzner_k3s.{module.replace('/', '.')}"), name)
    assert value == float(number)


def test_the_page_names_every_patience() -> None:
    assert set(_patience()) <= {(module, name) for _, module, name in _ROWS}
