"""Every command as a person reads it: on a small and on a wide terminal, in a pipe, and in CI, which has no home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import CLUSTER
from tests.recorded import held

from .emulator import Watched, converse

_RECORDED = Path(__file__).parents[1] / "recorded_outputs"
_POOL = "worker_node_pools: [{name: small, instance_type: cpx22, instance_count: 2, location: fsn1}]\n"
FILE = CLUSTER + "protect_against_deletion: false\n" + _POOL
_HOMES = Path("/tmp")  # a home's length decides where lines break: pytest's own folders differ in theirs
PROGRAM = (sys.executable, "-m", "hetzner_k3s")
SIMULATE = (*PROGRAM, "lab", "simulate", "-c", "cluster.yaml", "--latency", "instant")
SAID = (
    *("help", "plan", "create -q", "status", "plan", "snapshots", "kubeconfig"),
    *("upgrade --new-k3s-version v1.36.4+k3s1 --dry-run", "upgrade --new-k3s-version v1.38.0+k3s1"),
    *("replace pool-small-worker1 --dry-run", "replace nobody", "create --rollout nobody"),
    *("run --yes --command hostname", "ssh master1 -- hostname", "ssh nobody -- hostname"),
    *("lose prod-master1", "status", "create -q", "snapshots", "lose prod-master2", "lose prod-master3", "status"),
    *("create", "kubeconfig", "backup --to b", "delete --force -q", "status"),
)
ALONE = (
    *(("validate", "-c", "cluster.yaml"), ("validate", "-c", "wrong.yaml"), ("explain", "quorum.lost")),
    *(("explain", "quorum.won"), ("create",), ("crate",), ("upgrade", "-c", "cluster.yaml"), ("history",)),
)
_VARYING = re.compile(r"(?<=[a-z] )[\d.]+ (min \d+ )?s\b|\b[\d.]+ kB\b|\d{8}T\d{6}Z\S+", re.MULTILINE)
"""Durations, which follow from how often Hetzner is asked, sizes of what names its operator, and transcripts."""


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a home with a key and a file, in a path that is as long everywhere."""
    with tempfile.TemporaryDirectory(prefix="home-", dir=_HOMES) as folder:
        place = Path(folder)
        (place / ".ssh").mkdir()
        (place / ".ssh" / "id_ed25519").write_text("the configuration only checks that this file is there\n")
        (place / ".ssh" / "id_ed25519.pub").write_text(
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeUdLJrxLYw0tZ1xkV8fJ3Q1y0x3bJfGmZk a@b\n"
        )
        (place / "cluster.yaml").write_text(FILE)
        (place / "wrong.yaml").write_text(FILE.replace("instance_count: 3", "instance_count: 2") + "masters_poll: {}\n")
        yield place


def _environment(home: Path, **others: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "TERM": "xterm-256color", "PYTHONUTF8": "1", **others}


def _whole(watched: Watched) -> str:
    """Return all that a person finds who scrolls up."""
    return "\n".join([*watched.emulator.scrolled_off, *watched.emulator.lines])


def _hidden(text: str, home: Path) -> str:
    return _VARYING.sub("*", text.replace(str(home), "~"))


@pytest.mark.parametrize("size", [(80, 24), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_all_that_a_terminal_shows(home: Path, size: tuple[int, int]) -> None:
    environment = _environment(home)
    shown = [_whole(converse(SIMULATE, size, *SAID, "exit", cwd=home, environment=environment))]
    for words in ALONE:
        watched = converse([*PROGRAM, *words], size, cwd=home, environment=environment)
        shown.append(f"$ hetzner-k3s {' '.join(words)}\n{_whole(watched)}\n(exit code {watched.code})")
    text = "\n".join(shown)
    assert max(map(len, text.splitlines())) <= size[0]
    held(_RECORDED / f"terminal-{size[0]}x{size[1]}.txt", _hidden(text, home) + "\n")


@pytest.mark.parametrize(
    "environment", [{"NO_COLOR": "1"}, {"CI": "true", "HOME": "", "TERM": ""}, {"FORCE_COLOR": ""}], ids=str
)
def test_a_pipe_gets_the_same_words_and_nothing_else(home: Path, environment: dict[str, str]) -> None:
    """In CI there is no home and no terminal: what is kept lies where XDG_STATE_HOME says."""
    (home / "cluster.yaml").write_text(FILE.replace("~/", f"{home}/"))
    said = "".join(f"{line}\n" for line in SAID)
    given = {**_environment(home), "XDG_STATE_HOME": str(home / ".local" / "state"), **environment}
    user = {name: value for name, value in given.items() if value}
    piped = subprocess.run(SIMULATE, input=said, capture_output=True, text=True, cwd=home, env=user, check=False)
    assert piped.returncode == 0, piped.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", piped.stdout + piped.stderr)
    wide = converse(SIMULATE, (200, 50), *SAID, "exit", cwd=home, environment=_environment(home))
    missing = set(_hidden(_whole(wide), home).split()) - set(_hidden(piped.stdout + piped.stderr, home).split())
    assert missing <= {"exit"}
