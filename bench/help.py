"""Measures `hetzner-k3s --help`, wall time of the whole process, against an interpreter that does nothing.

Prints figures; nothing is asserted (budget: 150 ms, docs/architecture.md#budgets).
Usage: python bench/help.py [RUNS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

_BUDGET = 0.150


def main() -> None:
    """Measure and print median and spread of both, and the ratio to the budget."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    bare = _measure([sys.executable, "-c", "pass"], runs)
    ours = _measure([sys.executable, "-m", "hetzner_k3s", "--help"], runs)
    _show("python -c pass", bare)
    _show("hetzner-k3s --help", ours)
    sys.stdout.write(f"{statistics.median(ours) / _BUDGET:.0%} of the budget of {_BUDGET * 1000:.0f} ms\n")


def _measure(command: list[str], runs: int) -> list[float]:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # fills the page cache and writes the bytecode
    return [_once(command) for _ in range(runs)]


def _once(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def _show(name: str, seconds: list[float]) -> None:
    milliseconds = sorted(1000 * s for s in seconds)
    sys.stdout.write(
        f"{name:<20} median {statistics.median(milliseconds):6.1f} ms   "
        f"fastest {milliseconds[0]:6.1f} ms   slowest {milliseconds[-1]:6.1f} ms   ({len(milliseconds)} runs)\n"
    )


if __name__ == "__main__":
    main()
