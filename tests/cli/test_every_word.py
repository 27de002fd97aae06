"""All that the commands print, word by word and field by field: what a part of it means is tested elsewhere."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.recorded import held

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.app import cli
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN

from .conftest import CLUSTER, Invoke

_RECORDED = Path(__file__).parent / "recorded_outputs"
_VARYING = re.compile(
    r"^ +[\d.]+s(?= )|(?<=[a-z] )[\d.]+ (min \d+ )?s\b|(?<![\d.])\d+\.\d{3,}(?![\d.])|(?<=transcripts/)\S+"
    r"|\b[\d.]+ kB\b|(?<=\"size\": )\d+",
    re.MULTILINE,
)
"""Moments and durations follow from how often Hetzner is asked; in what has a size stands who asks."""
_POOL = "worker_node_pools:\n- {name: w, instance_type: cpx22, instance_count: 1, location: fsn1}\n"


def _commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _commands(found, *path, name)


def test_every_command_explains_itself(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    told = [invoke(*path, "--help").out for path in _commands(cli)]
    held(_RECORDED / "help.txt", "\n".join(told))


@pytest.fixture
def place(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """Let the commands of a test work in a simulated world."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (home / "cluster.yaml").write_text(CLUSTER + _POOL + "protect_against_deletion: false\n")
    with wiring.simulation(7, "instant") as opened:
        yield opened


def test_what_the_commands_say_of_a_cluster_that_lost_servers(invoke: Invoke, home: Path, place: Place) -> None:
    said = []

    def run(*arguments: str) -> None:
        ended = invoke(*arguments, "-c", "cluster.yaml")
        said.append(f"$ hetzner-k3s {' '.join(arguments)}\n{ended.out}--\n{ended.err}exit {ended.code}\n")

    run("plan")
    run("create")
    run("create")
    for lost in ("prod-master2", "prod-pool-w-worker1"):
        place.happen("lose", lost)
    run("plan", "--json")
    run("status")
    run("status", "--json")
    run("create", "-q")
    run("snapshots")
    run("snapshots", "--json")
    for lost in ("prod-master1", "prod-master3"):
        place.happen("lose", lost)
    run("plan", "--json")
    run("create")
    run("delete", "--force")
    held(_RECORDED / "session.txt", _VARYING.sub("*", "\n".join(said).replace(str(home), "~")))


def test_what_the_commands_say_of_surge_servers(invoke: Invoke, home: Path, place: Place) -> None:
    said = []

    def run(*arguments: str) -> None:
        ended = invoke(*arguments, "-c", "cluster.yaml")
        said.append(f"$ hetzner-k3s {' '.join(arguments)}\n{ended.out}--\n{ended.err}exit {ended.code}\n")

    invoke("create", "-q", "-c", "cluster.yaml")
    run("replace", "pool-w-worker1", "--surge", "1", "--dry-run")
    run("replace", "master2", "--surge", "1", "--dry-run")
    run("create", "--surge", "1")
    (home / "cluster.yaml").write_text((home / "cluster.yaml").read_text() + "image: debian-13\n")
    run("plan", "--rollout", "w", "--surge", "1")
    run("create", "--rollout", "w", "--surge", "1", "-q")
    run("plan", "--rollout", "w", "--surge", "1")
    held(_RECORDED / "surge.txt", _VARYING.sub("*", "\n".join(said).replace(str(home), "~")))


class _Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_is_typed_in_a_simulation_is_obeyed(invoke: Invoke, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "cluster.yaml").write_text(CLUSTER)
    lines = ["help", "create -q", "silence prod-master2", "heal", "wait 5 6", "wait x", "wait 60", "heal all", "lose"]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join([*lines, "lose nobody", "status", "exit", "create"])))
    piped = invoke("lab", "simulate", "-c", "cluster.yaml", "--latency", "instant", "--seed", "3")
    monkeypatch.setattr("sys.stdin", _Typed("heal\n"))
    typed = invoke("lab", "simulate", "-c", "cluster.yaml")
    assert (piped.code, typed.code) == (0, 0)
    assert typed.err == "simulation> simulation> "
    held(_RECORDED / "simulation.txt", _VARYING.sub("*", f"{piped.out}--\n{piped.err}".replace(str(home), "~")))
