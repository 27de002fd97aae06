"""`make bench` and `make bench-hosts`: runs the scenes, prints a table of ratios, and records it by commit.

Prints figures; nothing is asserted. With HETZNER_K3S_PEER=/path/to/binary the scenes on hosts run with that program,
too, in the same lab.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from bench import results
from bench.figures import HEAD, Figure, row
from bench.scenes import Scene, chosen
from bench.simulated import measured_apart


def main() -> None:
    """Measure, print, record."""
    wanted = _arguments()
    title, text = _on_hosts(wanted) if wanted.hosts else _simulated(wanted)
    if not wanted.no_record:
        results.record(title, text)


def _simulated(wanted: argparse.Namespace) -> tuple[str, str]:
    lines = [f"Virtual time, latency `typical`, seeds 1 to {wanted.runs}.\n\n", HEAD]
    sys.stdout.write("".join(lines))
    failures: list[str] = []
    for scene in chosen(wanted.scene):
        figures = [found for seed in range(1, wanted.runs + 1) if (found := _one(scene, seed, failures)) is not None]
        if figures:
            lines.append(row(scene.name, scene.nodes, figures))
            sys.stdout.write(lines[-1])
            sys.stdout.flush()
    lines += ["\n", *failures] if failures else []
    return "simulated", "".join(lines)


def _one(scene: Scene, seed: int, failures: list[str]) -> Figure | None:
    """Measure a run; one that does not end well is no figure, but is told: its story went to stderr."""
    try:
        return measured_apart(scene, seed)
    except subprocess.CalledProcessError:
        failures.append(f"- {scene.name}, seed {seed}: did not end well\n")
        sys.stdout.write(failures[-1])
        return None


def _on_hosts(wanted: argparse.Namespace) -> tuple[str, str]:
    from bench import hosts

    peer = os.environ.get("HETZNER_K3S_PEER")
    found = hosts.measured(chosen(wanted.scene, on_hosts=True), wanted.runs, Path(peer) if peer else None)
    sys.stdout.write(found)
    return "real hosts", found


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run.py", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="of each scene; in the simulation the seeds 1 to RUNS")
    parser.add_argument("--scene", default="", help="only scenes with these words in their name, as: create 3+1")
    parser.add_argument("--hosts", action="store_true", help="on real hosts of the lab (root, on a quiet machine)")
    parser.add_argument("--no-record", action="store_true", help="leave bench/RESULTS.md as it is")
    return parser.parse_args()


if __name__ == "__main__":
    main()
