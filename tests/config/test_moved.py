"""Keys of older releases are warnings that say where the setting lives now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hetzner_k3s.config.moved import GONE, MOVED, NEWER
from hetzner_k3s.config.reference import walk

Findings = Callable[[Any], list[str]]


def _with(tree: dict[str, Any], old: str) -> dict[str, Any]:
    *parents, last = old.split(".")
    node: Any = tree
    for part in parents:
        name = part.removesuffix("[]")
        node = node.setdefault(name, {})
        node = node[0] if part.endswith("[]") else node
    node[last] = {"enabled": True}
    return tree


@pytest.mark.parametrize("old", MOVED)
def test_an_old_key_is_a_warning_with_the_new_place(old: str, findings: Findings, minimal: dict[str, Any]) -> None:
    lines = findings(_with(minimal, old))
    key = old.replace("[]", "[0]")
    assert any(f"warning: {key}: " in line and f"set {MOVED[old]} instead" in line for line in lines)
    assert all(": warning: " in line for line in lines)


@pytest.mark.parametrize("old", GONE)
def test_a_key_without_a_successor_is_a_warning_that_says_why(
    old: str, findings: Findings, minimal: dict[str, Any]
) -> None:
    (line,) = findings(_with(minimal, old))
    assert f"warning: {old}: is ignored, as in 2.6: {GONE[old]}" in line


@pytest.mark.parametrize("new", NEWER)
def test_a_key_of_a_newer_release_is_refused_by_name(new: str, findings: Findings, minimal: dict[str, Any]) -> None:
    (line,) = findings(_with(minimal, new))
    assert f"{new}: is not supported yet" in line


def test_every_new_place_exists() -> None:
    keys = {key for key, _ in walk()}
    assert {new.partition(" ")[0] for new in MOVED.values()} <= keys


def test_an_old_location_of_the_masters_does_not_put_three_of_them_into_the_default(
    findings: Findings, minimal: dict[str, Any]
) -> None:
    minimal["masters_pool"] = {"instance_type": "cpx22", "instance_count": 3, "location": "nbg1"}
    moved, refused = sorted(findings(minimal), key=lambda line: "expected" in line)
    assert "warning: masters_pool.location: is ignored" in moved
    assert "or the masters go to fsn1, the default" in moved
    expected = "masters_pool.locations: expected 3 locations, one for each master (or one for all); the file gives none"
    assert expected in refused


def test_an_old_location_is_no_warning_where_nothing_stands_after_it(
    findings: Findings, minimal: dict[str, Any]
) -> None:
    minimal["masters_pool"]["location"] = None
    assert findings(minimal) == []
