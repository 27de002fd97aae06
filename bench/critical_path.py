"""Compares how long runs take with what Hetzner and k3s alone need: wall / critical path, on virtual time.

The critical path counts only what nobody can hurry: that a server is made and boots to the end of its cloud-init (as
the lab drew it), that k3s begins a cluster, and that masters and workers join. Requests, key exchanges, records,
noticing and waiting are ours, and make the ratio. Prints figures; nothing is asserted (docs/performance.md).

Usage: python bench/critical_path.py [SEEDS]
"""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.sim import tool
from tests.sim.clusters import MASTER1, a_spec

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.errors import ExitCode

_SEEDS = 10
_SHAPES = ((3, 1), (3, 3), (3, 10), (3, 97))
_REST = 60.0
"""Virtual seconds between a create and the loss of a master."""
_BEGUN = re.compile(r" *([\d.]+) (\w+) ([\w-]+): ")
_DONE = re.compile(r" *[\d.]+ (\w+) ([\w-]+) done after ([\d.]+) s")


@dataclass(frozen=True)
class Figure:
    """One run: its length and that of its critical path in virtual seconds, and its requests to Hetzner."""

    wall: float
    critical: float
    requests: int

    @property
    def ratio(self) -> float:
        """Return wall / critical path."""
        return self.wall / self.critical


def main() -> None:
    """Measure and print."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else _SEEDS
    for masters, workers in _SHAPES:
        pairs = [run(_story(masters, workers, seed)) for seed in range(1, seeds + 1)]
        _tell(f"create {masters}+{workers}", [made for made, _ in pairs], masters + workers)
        _tell(f"  recovery in {masters}+{workers}", [repaired for _, repaired in pairs])


def _tell(what: str, figures: Sequence[Figure], nodes: int | None = None) -> None:
    ratios = sorted(figure.ratio for figure in figures)
    requests = statistics.median(figure.requests for figure in figures)
    each = f", {requests / nodes:.2f} a node" if nodes else ""
    sys.stdout.write(
        f"{what:22} wall / critical path: median {statistics.median(ratios):.2f}, worst {ratios[-1]:.2f}; "
        f"{statistics.median(f.wall for f in figures):.0f} s; {requests:.0f} requests{each}\n"
    )


async def _story(masters: int, workers: int, seed: int) -> tuple[Figure, Figure]:
    spec = a_spec(masters, workers)
    async with world(seed, "typical") as place:
        made = await tool.create(place, spec)
        first = _figure(place, made)
        await asyncio.sleep(_REST)
        await ServerDeleted(MASTER1).strike(place)
        return first, _figure(place, await tool.create(place, spec))


def _figure(place: World, ran: tool.Run) -> Figure:
    assert ran.code is ExitCode.CONVERGED, ran.story()
    prepared = {host.name: host.prepared_at for host in place.site.hosts.values() if host.prepared_at is not None}
    return Figure(ran.seconds, _critical(ran.told.lines, prepared), len(ran.session.hetzner.requests))


def _critical(lines: Sequence[str], prepared: Mapping[str, float]) -> float:
    """Return the length of the longest chain; a server's part begins when it was ordered."""
    begun = {(m[2], m[3]): float(m[1]) for line in lines if (m := _BEGUN.match(line))}
    took = {(m[1], m[2]): float(m[3]) for line in lines if (m := _DONE.match(line))}
    boot = {name: prepared[name] - at for (verb, name), at in begun.items() if verb == "CreateServer"}
    cluster = max(
        (boot[name] + seconds for (verb, name), seconds in took.items() if verb == "InitControlPlane"), default=0
    )
    joins = [(name, seconds) for (verb, name), seconds in took.items() if verb in {"JoinControlPlane", "JoinWorker"}]
    return max((max(cluster, boot.get(name, 0.0)) + seconds for name, seconds in joins), default=cluster)


if __name__ == "__main__":
    main()
