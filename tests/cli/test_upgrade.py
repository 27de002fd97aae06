"""`upgrade` as a user types it."""

from __future__ import annotations

import pytest

from .conftest import Invoke


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ((), "Missing option '--new-k3s-version'"),
        (("--new-k3s-version", "1.36.4"), "'1.36.4' is not a k3s release: expected a form such as v1.36.3+k3s1"),
        (("--new-k3s-version", "latest"), "'latest' is not a k3s release"),
    ],
)
def test_a_release_has_to_be_named_whole(invoke: Invoke, typed: tuple[str, ...], said: str) -> None:
    ended = invoke("upgrade", "--config", "cluster.yaml", *typed)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
