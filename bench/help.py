"""Measures `hetzner-k3s --help`, the whole process, against an interpreter that does nothing.

Prints figures; nothing is asserted (budget: 150 ms, docs/architecture.md#budgets). Beside the wall time stand the
processor's seconds, which say more on a machine that does other things.
Usage: python bench/help.py [RUNS]
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

_BUDGET = 0.150


@dataclass(frozen=True, slots=True)
class _Run:
    wall: float
    cpu: float


def main() -> None:
    """Measure and print median and spread of both, and the ratio to the budget."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    bare = _measure([sys.executable, "-c", "pass"], runs)
    ours = _measure([sys.executable, "-m", "hetzner_k3s", "--help"], runs)
    _show("python -c pass", bare)
    _show("hetzner-k3s --help", ours)
    sys.stdout.write(
        f"{statistics.median(run.wall for run in ours) / _BUDGET:.0%} of the budget of {_BUDGET * 1000:.0f} ms\n"
    )


def _measure(command: list[str], runs: int) -> list[_Run]:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # fills the page cache and writes the bytecode
    return [_once(command) for _ in range(runs)]


def _once(command: list[str]) -> _Run:
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return _Run(wall, usage.ru_utime + usage.ru_stime)


def _show(name: str, runs: list[_Run]) -> None:
    wall = sorted(1000 * run.wall for run in runs)
    sys.stdout.write(
        f"{name:<20} median {statistics.median(wall):6.1f} ms   fastest {wall[0]:6.1f} ms   slowest {wall[-1]:6.1f} ms"
        f"   processor {1000 * statistics.median(run.cpu for run in runs):6.1f} ms   ({len(wall)} runs)\n"
    )


if __name__ == "__main__":
    main()
