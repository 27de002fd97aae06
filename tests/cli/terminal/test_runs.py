"""Whole runs of the product on a terminal, in the simulation: what is seen from the first frame to the last line."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from tests.cli.conftest import CLUSTER

from .emulator import Watched, watch

SIMULATE = [sys.executable, "-m", "hetzner_k3s", "lab", "simulate", "--config", "cluster.yaml", "--latency", "instant"]
FILE = CLUSTER.replace("./kubeconfig", "/tmp/kubeconfig-of-nobody") + (
    "protect_against_deletion: false\n"
    "worker_node_pools: [{name: small, instance_type: cpx22, instance_count: 2, location: fsn1}]\n"
)
BAR = re.compile(r"^ +[━─#-]+ +(\d+)%  ")


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """Return the environment of a user at a terminal."""
    (home / "cluster.yaml").write_text(FILE)
    beside = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    return {**beside, "HOME": str(home), "TERM": "xterm-256color", "PYTHONUTF8": "1", "KUBECONFIG": ""}


def shares(watched: Watched) -> list[int]:
    """Return what the bar said, frame by frame."""
    return [int(found[1]) for frame in watched.frames for line in frame[-1:] if (found := BAR.match(line))]


def all_lines(watched: Watched) -> list[str]:
    """Return what a person finds who scrolls up when all is over."""
    return [*watched.emulator.scrolled_off, *watched.emulator.lines]


def test_a_creation_is_watched_from_its_plan_to_what_comes_next(home: Path, environment: dict[str, str]) -> None:
    watched = watch(SIMULATE, (80, 24), given="create\n", cwd=home, environment=environment)
    seen = "\n".join(line for frame in watched.frames for line in frame)
    assert "prod looking " in seen
    for phase in ("ordered", "booting", "installing", "waits for master1", "starting", "joining"):
        assert phase in seen, phase
    assert "▸ master1 " in seen
    assert shares(watched) == sorted(shares(watched))
    assert max(shares(watched)) < 100
    after = all_lines(watched)
    assert [line for line in after if line.startswith("▸") or BAR.match(line)] == [], "no frame stays"
    assert sorted(line.split()[1:] for line in after if re.search(r"s pool-small-worker\d", line)) == [
        ["pool-small-worker1", "ready"],
        ["pool-small-worker2", "ready"],
    ]
    told = " ".join(" ".join(after).split())
    assert re.search(r"prod is up to date: 5 created in [\dmin ]+ s; API at https://\S+:6443 next: export KUBE", told)
    assert "\x1b[?25h" in watched.written.decode()[-2000:]
    assert "\x1b[3" in watched.written.decode(), "it is coloured"
    assert watched.out == ""


def test_every_word_is_whole_at_80_columns(home: Path, environment: dict[str, str]) -> None:
    """The same run told in a pipe has the same words: none was broken, none left out of what stays."""
    lines = "create\nlose prod-master1\nplan\ndelete --force\n"
    watched = watch(SIMULATE, (80, 24), given=lines, cwd=home, environment=environment)
    wide = watch(SIMULATE, (200, 50), given=lines, cwd=home, environment=environment)
    assert max(map(len, all_lines(watched))) <= 80
    narrow_words, wide_words = (" ".join(all_lines(run)).split() for run in (watched, wide))
    assert narrow_words == wide_words
    assert watched.out == wide.out


def test_a_terminal_that_is_resized_while_a_run_goes_on(home: Path, environment: dict[str, str]) -> None:
    watched = watch(SIMULATE, (120, 40), given="create\n", cwd=home, environment=environment, resized=(60, (70, 20)))
    last = watched.frames[-3:]
    assert max(len(line) for frame in last for line in frame) <= 70
    assert "next: export KUBECONFIG" in watched.emulator.text
    assert watched.emulator.text.count("▸") == 0


def test_ctrl_c_ends_clean_and_says_how_to_go_on(home: Path, environment: dict[str, str]) -> None:
    watched = watch(SIMULATE, (80, 24), given="create\n", cwd=home, environment=environment, interrupted=60)
    told = watched.emulator.text
    assert "interrupted; run the same command again: it goes on where it was\n" in told
    assert told.endswith("(exit code 130)")
    assert re.search(r"prod +stopped: ", told)
    assert "▸" not in told
    assert "Traceback" not in told
    assert "\x1b[?25h" in watched.written.decode()[-2000:], "the cursor is back"


@pytest.mark.parametrize("other", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(home: Path, environment: dict[str, str], other: dict[str, str]) -> None:
    watched = watch(SIMULATE, (80, 24), given="create\n", cwd=home, environment={**environment, **other})
    written = watched.written.decode()
    assert re.search(r"\x1b\[[\d;]*m", written) is None
    assert ("\x1b[" in written) is (other.get("TERM") != "dumb")
    assert "is up to date: 5 created" in written


def test_in_a_pipe_there_are_plain_lines_with_times(home: Path, environment: dict[str, str]) -> None:
    given = "printf 'create\\n' | \"$@\" 2>piped"
    watched = watch(["sh", "-c", given, "sh", *SIMULATE], (80, 24), cwd=home, environment=environment)
    told = (home / "piped").read_text()
    assert (watched.code, watched.written) == (0, b"")
    assert "\x1b" not in told
    assert re.search(r"^ +[\d.]+s master2 +asking for the server$", told, re.MULTILINE)
    assert re.search(r"^ +[\d.]+s pool-small-worker1 +is Ready$", told, re.MULTILINE)
    assert re.search(r"^ +[\d.]+s prod +is up to date: 5 created in .*; API at https://", told, re.MULTILINE)
