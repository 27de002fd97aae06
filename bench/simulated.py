"""Measures one scene with one seed in the simulation (latency `typical`), in a process of its own.

Usage: python -m bench.simulated SCENE SEED   (prints a `Figure` as JSON)
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

from bench.critical_path import boots, length, read_lines
from bench.figures import Figure, load
from bench.scenes import Part, Scene, chosen
from tests.sim import tool
from tests.sim.clusters import MASTER1, a_spec, in_the_internet

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

ROOT = Path(__file__).resolve().parents[1]
_REST = 60.0
"""Virtual seconds between a create and what happens next."""


def measured_apart(scene: Scene, seed: int) -> Figure:
    """Measure in a child process, so that its memory is its own. Raises CalledProcessError when the run failed."""
    line = [sys.executable, "-m", "bench.simulated", scene.name, str(seed)]
    done = subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return load(done.stdout)


def measured(scene: Scene, seed: int) -> Figure:
    """Measure here and now."""
    return run(_story(scene, seed))


async def _story(scene: Scene, seed: int) -> Figure:
    spec = a_spec(*scene.shape) if scene.private else in_the_internet(a_spec(*scene.shape))
    async with world(seed, "typical") as place:
        if scene.part is not Part.CREATE:
            await _ran(place, spec, Part.CREATE)
            await asyncio.sleep(_REST)
        if scene.part is Part.RECOVERY:
            await ServerDeleted(MASTER1).strike(place)
        began = time.process_time()
        ran = await _ran(place, spec, scene.part)
        cpu = time.process_time() - began
        return Figure(ran.seconds, _critical(place, ran, scene.part), len(ran.session.hetzner.requests), cpu)


async def _ran(place: World, spec: ClusterSpec, part: Part) -> tool.Run:
    ran = await (tool.delete if part is Part.DELETE else tool.create)(place, spec)
    if ran.code is not ExitCode.CONVERGED:
        raise RuntimeError(ran.story())
    return ran


def _critical(place: World, ran: tool.Run, part: Part) -> float:
    if part is Part.DELETE:
        gone = [action for action in place.project.actions.all() if action.command == "delete_server"]
        return max((action.finished or action.started) - action.started for action in gone)
    begun, took = read_lines(ran.told.lines)
    ready = {host.name: host.prepared_at for host in place.site.hosts.values() if host.prepared_at is not None}
    return length(boots(begun, ready), took)


def _peak_mib() -> float:
    """Return the most memory this program has had; not the interpreter's before it was this program."""
    status = Path(f"/proc/{os.getpid()}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))


def main() -> None:
    """Measure, and print."""
    from dataclasses import replace

    figure = measured(next(s for s in chosen(sys.argv[1]) if s.name == sys.argv[1]), int(sys.argv[2]))
    sys.stdout.write(replace(figure, peak_mib=_peak_mib()).dump())


if __name__ == "__main__":
    main()
