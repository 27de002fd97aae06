"""The demo's stage of real hosts: `hetzner-k3s lab` runs them, every command is a process at the operator's place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = str(ROOT / ".venv/bin/hetzner-k3s")
PYTHON = str(ROOT / ".venv/bin/python")
INSIDE = str(ROOT / "scripts/demo_cluster.py")


class HostsStage:
    """Five Debian hosts behind an emulated Hetzner API.

    Args:
        folder: of the demo, where the cluster's file lies.
        latency: profile of the emulated cloud.
    """

    place = "the embedded cloud, with real hosts"
    pace = "seconds"

    def __init__(self, folder: Path, latency: str) -> None:
        self._folder, self._latency = folder, latency

    def seconds(self) -> float:
        """Give the time of this place."""
        return time.monotonic()

    def up(self) -> None:
        """Start the lab."""
        self._lab("up", "--latency", self._latency)

    def down(self) -> None:
        """Take it down with everything that it made."""
        self._lab("down")

    def command(self, *words: str) -> None:
        """Run a command of `hetzner-k3s`; what it says is seen."""
        self._run(PROGRAM, *words, look=False)

    def facts(self, config: Path) -> dict[str, Any]:
        """Look at the whole cluster."""
        facts: dict[str, Any] = json.loads(self._run(PYTHON, INSIDE, "facts", str(config)))
        return facts

    def write_objects(self, kubeconfig: Path) -> None:
        """Write a user's objects through the kubeconfig."""
        self._run(PYTHON, INSIDE, "write", str(kubeconfig))

    def digest(self, kubeconfig: Path) -> str:
        """Hash them as the API gives them back."""
        return self._run(PYTHON, INSIDE, "digest", str(kubeconfig)).strip()

    def lose(self, name: str, server_id: str) -> None:
        """Delete a server with Hetzner's own command, as an accident would; old versions of it do not wait."""
        print(f"(by Hetzner's own command: hcloud server delete {name})", flush=True)
        self._run("hcloud", "server", "delete", server_id)
        deadline = time.monotonic() + 60
        while server_id in self._run("hcloud", "server", "list", "-o", "noheader", "-o", "columns=id").split():
            if time.monotonic() > deadline:
                sys.exit(f"demo: server {server_id} is still listed a minute after its deletion")
            time.sleep(0.2)

    def _lab(self, verb: str, *options: str) -> None:
        subprocess.run([PROGRAM, "lab", verb, "--state", str(self._folder / "lab"), *options], check=True)

    def _run(self, *command: str, look: bool = True) -> str:
        line = [PROGRAM, "lab", "run", "--state", str(self._folder / "lab"), "--", *command]
        environment = {**os.environ, "XDG_STATE_HOME": str(self._folder / "state")}
        stdout = subprocess.PIPE if look else None
        done = subprocess.run(line, stdout=stdout, text=True, check=True, cwd=self._folder, env=environment)
        return done.stdout or ""
