"""Running commands inside a host without SSH, for tests and people who look behind the scenes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from hetzner_k3s.lab.realhosts.hosts.cgroups import processes_below
from hetzner_k3s.lab.realhosts.hosts.processes import first_process, is_stopped

_SECONDS = 60.0
_LOOK_SECONDS = 0.5


class HostOffError(Exception):
    """The host does not run."""


def run_inside(group: Path, script: str, timeout: float = _SECONDS) -> subprocess.CompletedProcess[str]:
    """Run a shell script as root in the host whose processes are in the cgroup2 directory `group`.

    Raises HostOffError, subprocess.TimeoutExpired. A host that goes down takes the script with it (exit code -9).
    """
    command = _command(group, script)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True) as process:
        deadline = time.monotonic() + timeout
        while True:
            try:
                output, errors = process.communicate(timeout=_LOOK_SECONDS)
                return subprocess.CompletedProcess(command, process.returncode, output, errors)
            except subprocess.TimeoutExpired:
                _wake(process.pid)
                if time.monotonic() > deadline:
                    process.kill()
                    raise


def _command(group: Path, script: str) -> list[str]:
    first = first_process(processes_below(group))
    if first is None:
        raise HostOffError(f"no host runs in {group.name}")
    enter = ["nsenter", f"--target={first}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
    environment = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]
    return [*enter, "--root", "--wd=/", "--", *environment, "LANG=C.UTF-8", "sh", "-c", script]


def _wake(nsenter: int) -> None:
    """Let nsenter go on: a system that shuts down stops all its processes, and nsenter stops itself in sympathy."""
    if is_stopped(nsenter):
        os.kill(nsenter, signal.SIGCONT)
