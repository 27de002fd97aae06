"""SIGTERM ends a run as Ctrl-C does: what it holds is given back before the process ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

RUN = """
import asyncio, os, signal
from tests.sim.clusters import a_spec
from hetzner_k3s.cli import wiring

async def work():
    async with wiring.open_session(a_spec()):
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        finally:
            print("given back", flush=True)

try:
    wiring.run(work())
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_sigterm_lets_a_run_give_back_what_it_holds(tmp_path: Path) -> None:
    state = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, "-c", RUN]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=state)
    assert ended.stdout.split("\n")[:2] == ["given back", "interrupted"], ended
    assert ended.returncode == 0
