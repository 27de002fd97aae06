"""Counts requests to the Hetzner API on the simulation, at `typical` latency, beside what is budgeted.

Of each shape: a create, the run after it that changes nothing, the recovery of a lost master, the deletion. Beyond a
hundred servers no network of Hetzner's is wide enough, so there the limits are lifted and servers are attached at
once: the figure is what the orders themselves cost. Prints figures; nothing is asserted
(docs/architecture.md#budgets).

Usage: python bench/requests.py [--askers] [SHAPE …], a shape is `3+10`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.askers import counted, name_askers, nameless
from bench.wide import lift_limits
from tests.sim import tool
from tests.sim.clusters import MASTER1, a_spec

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world

_SHAPES = ("3+1", "3+10", "3+97", "3+100")
_WIDEST = 100
_WHOLE = {"3+1": 30, "3+10": 60}
"""Shape -> what its create may ask in all; others are budgeted by the node."""
_A_NODE = 1.4
_IDLE, _RECOVERY, _DELETION = 7, 20, 30
_REST = 60.0
"""Virtual seconds between a create and what happens next."""


def main() -> None:
    """Measure and print."""
    shapes = [given for given in sys.argv[1:] if not given.startswith("-")]
    for shape in shapes or _SHAPES:
        began = time.process_time()
        masters, workers = map(int, shape.split("+"))
        if masters + workers > _WIDEST:
            lift_limits()
        run(_measure(shape, masters, workers))
        sys.stdout.write(f"   ({time.process_time() - began:.0f} s of CPU)\n")


async def _measure(shape: str, masters: int, workers: int) -> None:
    spec, nodes = a_spec(masters, workers), masters + workers
    async with world(1, "typical") as place:
        name_askers()
        with counted() as asked:
            made = await tool.create(place, spec)
        _tell(f"create {shape}", made, asked, _WHOLE.get(shape, int(_A_NODE * nodes)), nodes)
        await asyncio.sleep(_REST)
        with counted() as asked:
            idle = await tool.create(place, spec)
        _tell("  nothing to do", idle, asked, _IDLE + nodes // 50)
        await ServerDeleted(MASTER1).strike(place)
        with counted() as asked:
            repaired = await tool.create(place, spec)
        _tell("  a master lost", repaired, asked, _RECOVERY)
        with counted() as asked:
            deleted = await tool.delete(place, spec)
        _tell("  deletion", deleted, asked, _DELETION - 13 + nodes + workers // 10)
        nameless()


def _tell(what: str, ran: tool.Run, asked: Counter[tuple[str, str]], budget: int, nodes: int | None = None) -> None:
    each = f" ({asked.total() / nodes:.2f} a node)" if nodes else ""
    over = "" if asked.total() <= budget else "  OVER"
    sys.stdout.write(f"{what:18} {asked.total():5} requests{each}, budget {budget}, {ran.seconds:.0f} s{over}\n")
    if ran.code != 0:
        sys.stdout.write(f"{ran.story()[-500:]}\n")
    if "--askers" in sys.argv:
        for (kind, asker), count in asked.most_common():
            sys.stdout.write(f"  {count:6} {kind:45} {asker}\n")


if __name__ == "__main__":
    main()
