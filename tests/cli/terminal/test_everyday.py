"""The everyday commands wholly on a terminal: what is asked and answered there, how wide it is, and its colours."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from tests.cli.conftest import CLUSTER

from .emulator import Watched, converse

SIMULATE = [sys.executable, "-m", "hetzner_k3s", "lab", "simulate", "-c", "cluster.yaml", "--latency", "instant"]
FILE = CLUSTER.replace("./kubeconfig", "/tmp/kubeconfig-of-nobody") + (
    "worker_node_pools: [{name: small, instance_type: cpx22, instance_count: 2, location: fsn1}]\n"
)
LONG = "echo a line that is longer than eighty columns are wide stays as the host printed it, to its end"


def spoken(home: Path, size: tuple[int, int], *lines: str, **environment: str) -> Watched:
    """Type lines into a simulation with a cluster; what was shown before the first is left out."""
    (home / "cluster.yaml").write_text(FILE)
    beside = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    user = {**beside, "HOME": str(home), "TERM": "xterm-256color", "PYTHONUTF8": "1", "KUBECONFIG": "", **environment}
    return converse(SIMULATE, size, "create -q", *lines, "exit", cwd=home, environment=user)


def test_a_command_is_asked_for_and_runs_at_80_columns(home: Path) -> None:
    watched = spoken(home, (80, 24), f"run --parallel 1 --command '{LONG}'", "y", "ssh master1 -- hostname")
    told = watched.emulator.text
    assert told.partition("simulation> run")[2] == snapshot("""\
 --parallel 1 --command 'echo a line that is longer than eighty c
olumns are wide stays as the host printed it, to its end'
command: echo a line that is longer than eighty columns are wide stays as the
  host printed it, to its end
on 5 hosts: prod-master1, prod-master2, prod-master3, prod-pool-small-worker1,
  prod-pool-small-worker2
Run it on these 5 hosts? [y/N]: y
prod-master1            | a line that is longer than eighty columns are wide sta
ys as the host printed it, to its end
prod-master2            | a line that is longer than eighty columns are wide sta
ys as the host printed it, to its end
prod-master3            | a line that is longer than eighty columns are wide sta
ys as the host printed it, to its end
prod-pool-small-worker1 | a line that is longer than eighty columns are wide sta
ys as the host printed it, to its end
prod-pool-small-worker2 | a line that is longer than eighty columns are wide sta
ys as the host printed it, to its end
exit status 0 on 5 hosts
(exit code 0)
simulation> ssh master1 -- hostname
prod-master1
(exit code 0)
simulation> exit\
""")


def test_no_is_an_answer(home: Path) -> None:
    watched = spoken(home, (80, 24), "off prod-pool-small-worker1", "run --command hostname", "")
    told = watched.emulator.text.partition("simulation> run")[2]
    assert told.partition("transcript:")[0] == snapshot("""\
 --command hostname
command: hostname
on 4 hosts: prod-master1, prod-master2, prod-master3, prod-pool-small-worker2
not on prod-pool-small-worker1: its server is off
Run it on these 4 hosts? [y/N]:
Nothing was run.
""")
    assert "(exit code 4)" in told


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_each_host_has_its_colour_unless_none_is_wanted(home: Path, environment: dict[str, str]) -> None:
    watched = spoken(home, (120, 40), "run --yes --command hostname", "kubeconfig", **environment)
    written = watched.written.decode()
    coloured = re.findall(r"\x1b\[(\d+)mprod-[a-z0-9-]+ +\| \x1b\[0mprod-", written)
    assert len(set(coloured)) == (0 if environment else 5)
    assert "next: export KUBECONFIG=/tmp/kubeconfig-of-nobody" in watched.emulator.text.replace("\n", " ")


@pytest.mark.parametrize("environment", [{}, {"NO_COLOR": "1"}])
def test_what_is_wrong_with_a_file_fits_the_terminal(home: Path, environment: dict[str, str]) -> None:
    (home / "cluster.yaml").write_text(FILE.replace("v1.36.3+k3s1", "1.36") + "masters_poll: {}\n")
    program = [sys.executable, "-m", "hetzner_k3s", "validate", "-c", "cluster.yaml"]
    user = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment}
    watched = converse(program, (80, 24), cwd=home, environment=user)
    assert watched.code == 2
    assert watched.emulator.text == snapshot("""\
cluster.yaml:3:14: k3s_version: '1.36' is not a k3s release: expected a form
  such as v1.36.3+k3s1
cluster.yaml:15:1: masters_poll: unknown key (did you mean "masters_pool"?)
cluster.yaml is not valid: 2 errors\
""")
