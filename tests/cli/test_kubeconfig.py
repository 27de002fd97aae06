"""`kubeconfig`: the admin's credentials from any healthy master, into the file, into one's own, or to stdout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from hetzner_k3s.cli import wiring
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN

from .conftest import CLUSTER, Ended, Invoke


@pytest.fixture
def place(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world that has a cluster."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    (home / "cluster.yaml").write_text(CLUSTER + "protect_against_deletion: false\n")
    with wiring.simulation(7, "instant") as opened:
        assert invoke("create", "-q", "-c", "cluster.yaml").code == 0
        yield opened


def parsed(text: str | None) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text or "")
    return document


def contexts(text: str | None) -> list[str]:
    return [context["name"] for context in parsed(text)["contexts"]]


def printed(invoke: Invoke) -> Ended:
    return invoke("kubeconfig", "-c", "cluster.yaml", "--print")


def test_it_is_written_to_the_path_of_the_file_as_create_writes_it(invoke: Invoke, home: Path, place: Place) -> None:
    laptop = place.world.laptop
    before, laptop.kubeconfig = laptop.kubeconfig, None
    ended = invoke("kubeconfig", "-c", "cluster.yaml")
    assert (ended.code, ended.out) == (0, f"{home}/kubeconfig\n")
    assert ended.err == f"next: export KUBECONFIG={home}/kubeconfig\n"
    assert laptop.kubeconfig == before
    assert invoke("kubeconfig", "-q", "-c", "cluster.yaml").err == ""


def test_print_writes_all_of_it_to_stdout_and_into_no_file(invoke: Invoke, place: Place) -> None:
    laptop = place.world.laptop
    written, laptop.kubeconfig = laptop.kubeconfig, None
    ended = printed(invoke)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == written, "its key is not masked: it was asked for"
    assert parsed(ended.out)["users"][0]["user"]["client-key-data"]
    assert laptop.kubeconfig is None


def test_merge_leaves_the_path_of_the_file_alone(invoke: Invoke, place: Place) -> None:
    laptop = place.world.laptop
    written, laptop.kubeconfig = laptop.kubeconfig, None
    ended = invoke("kubeconfig", "-c", "cluster.yaml", "--merge")
    assert (ended.code, laptop.kubeconfig, laptop.own_kubeconfig) == (0, None, written)
    assert ended.err == "next: kubectl --context prod-master1 get nodes\n"


def test_any_healthy_master_will_do_and_the_lost_one_is_left_out(invoke: Invoke, place: Place) -> None:
    place.happen("lose", "prod-master1")
    place.wait(10)  # the others elect a leader
    ended = printed(invoke)
    assert ended.code == 0
    assert contexts(ended.out) == ["prod-master2", "prod-master3"]
    assert parsed(ended.out)["current-context"] == "prod-master2"


def test_a_master_that_answers_nobody_is_no_obstacle(invoke: Invoke, place: Place) -> None:
    place.happen("silence", "prod-master1")
    assert contexts(printed(invoke).out) == ["prod-master1", "prod-master2", "prod-master3"]


def test_without_quorum_there_is_none(invoke: Invoke, place: Place) -> None:
    for lost in ("prod-master1", "prod-master2"):
        place.happen("lose", lost)
    ended = printed(invoke)
    assert (ended.code, ended.out) == (1, "")
    assert "error: no master answers as a healthy voter of the recorded cluster" in ended.err
    assert "`hetzner-k3s status` shows why" in ended.err


def test_no_lock_is_taken_and_no_host_is_changed(invoke: Invoke, place: Place) -> None:
    groups = {group.name for group in place.world.project.placement_groups.values()}
    assert printed(invoke).code == 0
    assert {group.name for group in place.world.project.placement_groups.values()} == groups
    transcript = invoke("history", "--simulated", "1").out
    assert "kubeconfig" in transcript
