"""Whatever stands in the file: a configuration, or messages; never a traceback."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import load
from hetzner_k3s.config.reference import walk

LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # what YAML 1.1 calls one
NAMES = sorted({key.replace("[]", "").rpartition(".")[2] for key, _ in walk()})
MARKS = (
    ": ",
    "- ",
    "\n",
    "\n  ",
    "\t",
    "&a ",
    "*a",
    "<<",
    "[",
    "]",
    "{",
    "}",
    ",",
    "'",
    '"',
    "|\n",
    ">\n",
    "#",
    "!",
    "!!str ",
)
ODDITIES = ("%", "---\n", "...\n", "? ", "~", "\0", "\u2028", "\ufeff", "x-b", "a")
YAML_BITS = st.sampled_from([*MARKS, *ODDITIES, *NAMES[:20]])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
KEYS = st.sampled_from(NAMES) | st.text(max_size=5)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=25
)


def _try(path: Path, content: bytes, environ: dict[str, str]) -> None:
    path.write_bytes(content)
    try:
        load(path, environ)
    except ConfigError as error:
        found_at = [(found.line, found.message) for found in error.diagnostics]
    else:
        return
    assert found_at
    lines = len(LINE_BREAK.split(content.decode("utf-8", errors="replace")))
    assert all(0 <= line <= lines + 1 and "\n" not in message for line, message in found_at)


_SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@_SETTINGS
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes(content: bytes, tmp_path: Path, environ: dict[str, str]) -> None:
    _try(tmp_path / "cluster.yaml", content, environ)


@_SETTINGS
@given(content=st.lists(YAML_BITS, max_size=25).map("".join))
def test_texts_like_yaml(content: str, tmp_path: Path, environ: dict[str, str]) -> None:
    _try(tmp_path / "cluster.yaml", content.encode(), environ)


@_SETTINGS
@given(tree=st.dictionaries(st.sampled_from(NAMES), TREES, max_size=6))
def test_arbitrary_values_under_known_keys(tree: dict[str, Any], tmp_path: Path, environ: dict[str, str]) -> None:
    _try(tmp_path / "cluster.yaml", json.dumps(tree, allow_nan=True).encode(), environ)


@_SETTINGS
@given(data=st.data())
def test_one_value_of_a_valid_file_replaced(
    data: st.DataObject, tmp_path: Path, environ: dict[str, str], minimal: dict[str, Any]
) -> None:
    tree = copy.deepcopy(minimal)
    key = data.draw(st.sampled_from([key for key, _ in walk()]))
    _put(tree, key.split("."), data.draw(TREES))
    _try(tmp_path / "cluster.yaml", json.dumps(tree).encode(), environ)


def _put(node: Any, path: list[str], value: object) -> None:
    *parents, last = path
    for part in parents:
        name = part.removesuffix("[]")
        child = node.setdefault(name, [{}] if part.endswith("[]") else {})
        node = child[0] if part.endswith("[]") else child
    node[last] = value
