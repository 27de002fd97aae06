"""`lab up`, `status`, `run`, `down` as a user calls them; nothing stays behind, however a lab ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.realhosts.lab_servers import make_keys, make_server, wait_booted, wait_until

from hetzner_k3s.lab.realhosts import lifecycle
from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.hosts.inotify import raise_limit, restore_limit
from hetzner_k3s.lab.realhosts.hosts.processes import start_time
from hetzner_k3s.lab.realhosts.state import StateFolder

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Name a state directory, and leave no lab in it."""
    path = tmp_path / "state"
    yield path
    lifecycle.down(path)


def cli(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command, *rest = arguments
    return subprocess.run([*_cli(command, folder), *rest], capture_output=True, text=True, timeout=120, check=False)


def _cli(command: str, folder: Path) -> list[str]:
    # Whoever runs the tests in the background of a shell has Ctrl-C ignored, and children inherit that.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    program += "from hetzner_k3s.cli.app import main; main()"
    return [sys.executable, "-c", program, "lab", command, "--state", str(folder)]


def remains(folder: Path) -> list[str]:
    """List what is left of a lab: files, control groups, mounts, processes that name its folder or group."""
    name = StateFolder(folder).name
    found = [str(folder)] if folder.exists() else []
    found += [str(path) for path in Path("/sys/fs/cgroup").rglob(f"*{name}*")]
    found += [line for line in Path("/proc/self/mounts").read_text().splitlines() if str(folder) in line]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line and start_time(int(path.parent.name)):
            found.append(line)
    return found


def processes(lab: LabHandle) -> dict[int, str | None]:
    """List the processes of the lab and its hosts with their start times."""
    pids = [lab.running.daemon, *lab.running.record.group.processes()]
    return {pid: start_time(pid) for pid in pids}


def up_with_host(folder: Path, tmp_path: Path) -> LabHandle:
    lab = LabHandle(lifecycle.up(folder, "instant", None, say=sys.stderr.write))
    wait_booted(make_server(lab, "box", make_keys(tmp_path)))
    return lab


def test_the_commands_tell_one_story(folder: Path) -> None:
    assert cli("down", folder=folder).returncode == 0, "ending nothing is no error"
    assert cli("status", folder=folder).returncode == 1
    assert cli("up", folder=folder).returncode == 0
    again = cli("up", folder=folder)
    assert again.returncode == 1
    assert "running already" in again.stderr
    status = cli("status", folder=folder).stdout
    assert "instant" in status
    assert str(folder / "token") in status
    run = cli("run", "--", "sh", "-c", 'echo "$HCLOUD_ENDPOINT $HCLOUD_TOKEN"; exit 7', folder=folder)
    assert run.returncode == 7
    token = (folder / "token").read_text()
    assert run.stdout.split() == [lifecycle.OPERATOR_ENDPOINT, token]
    read = cli("run", "--", "sh", "-c", 'curl --fail --silent "$INSTALL_K3S_CHANNEL_URL"', folder=folder)
    assert "v1.36.3+k3s1" in [channel["latest"] for channel in json.loads(read.stdout)["data"]]
    assert (len(token), token.isalnum(), (folder / "token").stat().st_mode & 0o777) == (64, True, 0o600)
    assert cli("down", folder=folder).returncode == 0
    assert remains(folder) == []
    assert cli("down", folder=folder).returncode == 0


def test_down_leaves_nothing_of_a_lab_with_hosts(folder: Path, tmp_path: Path) -> None:
    lab = up_with_host(folder, tmp_path)
    assert int(_INOTIFY.read_text()) >= 8192
    assert remains(folder), "or this test would see nothing at all"
    own = processes(lab)
    assert len(own) > 5, "the daemon, nspawn, and what a Debian runs"
    lifecycle.down(folder)
    assert remains(folder) == []
    # With the last process of the lab's namespaces go the namespaces: nothing outside pins them.
    assert [pid for pid, started in own.items() if started and start_time(pid) == started] == []


def test_the_last_lab_puts_the_inotify_limit_back(tmp_path: Path) -> None:
    """Run the module against files of our own: on the machine's, other labs may come and go meanwhile."""
    limit, users = tmp_path / "limit", tmp_path / "users"
    limit.write_text("128")
    raise_limit("a", limit, users)
    raise_limit("b", limit, users)
    restore_limit("a", limit, users)
    restore_limit("a", limit, users)
    assert limit.read_text() == "8192"
    restore_limit("b", limit, users)
    assert (limit.read_text(), users.exists()) == ("128", False)


def test_down_after_the_daemon_was_killed(folder: Path, tmp_path: Path) -> None:
    lab = up_with_host(folder, tmp_path)
    os.kill(lab.running.daemon, signal.SIGKILL)
    wait_until(lambda: start_time(lab.running.daemon) is None)
    wait_until(lambda: not lab.running.record.group.processes(), seconds=10)
    assert cli("status", folder=folder).returncode == 1
    lifecycle.down(folder)
    assert remains(folder) == []


def test_up_replaces_a_crashed_lab(folder: Path, tmp_path: Path) -> None:
    lab = up_with_host(folder, tmp_path)
    os.kill(lab.running.daemon, signal.SIGKILL)
    wait_until(lambda: start_time(lab.running.daemon) is None)
    fresh = LabHandle(lifecycle.up(folder, "instant", None, say=sys.stderr.write))
    assert fresh.client.hosts() == []


def test_down_ends_what_lab_run_started(folder: Path) -> None:
    lab = LabHandle(lifecycle.up(folder, "instant", None, say=sys.stderr.write))
    with lab.popen(["sleep", "1000"]) as sleeper:
        lifecycle.down(folder)
        assert sleeper.wait(timeout=10) == -signal.SIGKILL
    assert remains(folder) == []


def test_signals_reach_a_command_under_lab_run(folder: Path) -> None:
    lifecycle.up(folder, "instant", None, say=sys.stderr.write)
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    command = [*_cli("run", folder), "--", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.terminate()
        assert running.wait(timeout=10) == 9


_HELD_DAEMON = """
import sys
if "hetzner_k3s.lab.realhosts.daemon" in sys.orig_argv:
    open({gate!r}).read()
"""
"""What Python runs before anything else: the lab's daemon then waits until somebody has opened and closed the gate."""


def test_interrupted_up_cleans_up(folder: Path, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    (tmp_path / "sitecustomize.py").write_text(_HELD_DAEMON.format(gate=str(gate)))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with (
        subprocess.Popen(_cli("up", folder), stderr=subprocess.PIPE, text=True, env=environment) as starting,
        gate.open("w"),  # opens when the daemon has come to wait for it, so `up` waits for the daemon
    ):
        starting.send_signal(signal.SIGINT)
        assert starting.wait(timeout=30) == 130
    assert remains(folder) == []


def test_two_labs_side_by_side(folder: Path, lab: LabHandle) -> None:
    second = LabHandle(lifecycle.up(folder, "instant", None, say=sys.stderr.write))
    assert second.token != lab.token
    assert second.resources("servers") == []
    lifecycle.down(folder)
    assert int(_INOTIFY.read_text()) >= 8192, "the other lab still needs it"
    assert lab.resources("servers") == []


def test_a_folder_of_somebody_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("dear")
    refused = cli("up", folder=folder)
    assert refused.returncode == 2
    assert "holds no lab" in refused.stderr
    assert cli("down", folder=folder).returncode == 0
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
