"""`run`, `ssh` and `kubeconfig` on real hosts: real sshd, a real shell, the program `ssh`; k3s goes on as before."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator

import pytest
from tests.realhosts.cluster import PROGRAM, Cluster
from tests.realhosts.standing import WORKER, standing, told, until

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER = "demo-master1"


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Make a small cluster for all tests here, and hold that nothing of them restarted its k3s."""
    with standing(lab, tmp_path_factory.mktemp("everyday"), masters=1, workers=1) as made:
        before = made.process(MASTER)
        yield made
        assert made.process(MASTER) == before


def start(cluster: Cluster, *words: str) -> subprocess.Popen[str]:
    """Start a command with pipes at all ends."""
    pipe = subprocess.PIPE
    line = [*PROGRAM, words[0], "--config", str(cluster.config), *words[1:]]
    return cluster.lab.popen(line, env=cluster.environment, cwd=cluster.folder, stdin=pipe, stdout=pipe, stderr=pipe)


def ended(cluster: Cluster, *words: str, given: str = "") -> tuple[int, str, str]:
    """Run a command to its end."""
    process = start(cluster, *words)
    out, err = process.communicate(given, timeout=120)
    return process.returncode, out, err


def test_a_command_runs_on_every_host_as_root(cluster: Cluster) -> None:
    code, out, err = ended(cluster, "run", "--yes", "--json", "--command", "hostname; id -u >&2; exit 4")
    assert (code, err) == (4, "")
    rows = {row["host"]: row for row in map(json.loads, out.splitlines())}
    assert {name: (row["stdout"], row["stderr"]) for name, row in rows.items()} == {
        name: (f"{name}\n", "0\n") for name in (MASTER, WORKER)
    }


def test_a_script_runs_by_who_its_first_line_names_and_leaves_nothing(cluster: Cluster) -> None:
    (cluster.folder / "job").write_text('#!/usr/bin/perl\nprint "$0\\n"; print "$_\n" for 1..60000;\n')
    code, out, _ = ended(cluster, "run", "--yes", "-q", "--instance", "small", "--script", "job")
    first, *numbers = [line.partition(" | ")[2] for line in out.splitlines()]
    assert (code, numbers) == (0, [str(number) for number in range(1, 60_001)])
    assert told(cluster, WORKER, f"ls {first} 2>&1").startswith("ls: cannot access")


def test_ctrl_c_ends_what_runs_on_the_host(cluster: Cluster) -> None:
    process = start(cluster, "run", "--yes", "-q", "--instance", "master1", "--command", "echo $$; sleep 987 & wait")
    assert process.stdout is not None
    number = process.stdout.readline().split()[-1]
    until(lambda: "987" in told(cluster, MASTER, "pgrep -af '[s]leep 987'"), "it runs")
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    until(lambda: not told(cluster, MASTER, f"ls -d /proc/{number} 2>/dev/null; pgrep -f '[s]leep 987'"), "it ended")


def test_ssh_runs_a_command_and_hands_its_bytes_through(cluster: Cluster) -> None:
    code, out, err = ended(cluster, "ssh", "master1", "--", "printf", "'a\\tb'", ";", "echo oops >&2; exit 9")
    assert (code, out, err) == (9, "a\tb", "oops\n")


@pytest.mark.skipif(shutil.which("ssh") is None, reason="the program ssh is not here")
def test_ssh_opens_a_shell_with_the_key_that_the_host_proved(cluster: Cluster) -> None:
    code, out, err = ended(cluster, "ssh", WORKER, given="hostname\nexit 3\n")
    assert (code, out.splitlines()[-1]) == (3, WORKER), err
    assert "Permanently added" not in err, "the key was known"


def test_the_kubeconfig_opens_the_api(cluster: Cluster) -> None:
    code, out, err = ended(cluster, "kubeconfig", "--print")
    assert (code, err) == (0, "")
    assert out == cluster.kubeconfig.read_text()
    cluster.kubeconfig.unlink()
    code, out, _ = ended(cluster, "kubeconfig")
    assert (code, out) == (0, f"{cluster.kubeconfig}\n")
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
