"""`upgrade` as a user types it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hetzner_k3s.lab.simulated.place import Place

from .conftest import CLUSTER, Invoke, simulated_cluster

_POOL = "worker_node_pools: [{name: small, instance_type: cpx22, instance_count: 1, location: fsn1}]\n"
_NEXT = "v1.36.4+k3s1"


@pytest.fixture
def place(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world that has a cluster."""
    with simulated_cluster(home, invoke, monkeypatch, CLUSTER + _POOL) as opened:
        yield opened


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


@pytest.mark.usefixtures("place")
def test_what_else_differs_does_not_keep_the_release_out_of_the_file(invoke: Invoke, home: Path) -> None:
    (home / "cluster.yaml").write_text(CLUSTER + _POOL.replace("cpx22", "cpx32"))
    ended = invoke("upgrade", "-c", "cluster.yaml", "--new-k3s-version", _NEXT)
    assert ended.code == 3
    assert f"beyond a simulation, `k3s_version: {_NEXT}` would be written into it now" in ended.err
    assert "the file keeps its k3s_version" not in ended.err


def test_a_file_does_not_say_that_all_have_a_release_that_some_have_not(invoke: Invoke, place: Place) -> None:
    place.happen("silence", "prod-master2")
    ended = invoke("upgrade", "-c", "cluster.yaml", "--new-k3s-version", _NEXT)
    assert ended.code == 3
    assert f"the file keeps its k3s_version: not every server runs {_NEXT} yet" in ended.err
    assert "would be written" not in ended.err
