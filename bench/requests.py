"""Counts requests to the Hetzner API on the simulation: a create, the run after it that changes nothing, a recovery.

Prints figures; nothing is asserted (budget: 1.4 a node on create, 10 for a run that changes nothing,
docs/architecture.md#budgets).
Usage: python bench/requests.py [WORKERS …]
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.sim import tool
from tests.sim.clusters import MASTER1, a_spec
from tests.sim.story import Story, healthy

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run

_BUDGET = 1.4
_IDLE_BUDGET = 10
_MASTERS = 3
"""Beside as many workers as make a hundred at most: no network takes more servers."""


def main() -> None:
    """Measure and print."""
    for workers in [int(given) for given in sys.argv[1:]] or [2, 20, 97]:
        began = time.perf_counter()
        run(_measure(workers))
        sys.stdout.write(f"   ({time.perf_counter() - began:.0f} s of wall time)\n")


async def _measure(workers: int) -> None:
    nodes = _MASTERS + workers
    async with healthy(1, a_spec(_MASTERS, workers)) as story:
        born = len(story.runs[0].session.hetzner.requests)
        sys.stdout.write(
            f"create {_MASTERS}+{workers}: {born} requests in {story.runs[0].seconds:.0f} s, {born / nodes:.2f} a node "
            f"({born / nodes / _BUDGET:.0%} of budget), {_share(story.runs[0])}\n"
        )
        idle = len((await story.create()).session.hetzner.requests)
        sys.stdout.write(f"   nothing to do: {idle} requests ({idle / _IDLE_BUDGET:.0%} of budget)\n")
        await _recover(story)


async def _recover(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    recovery = await story.create()
    count = len(recovery.session.hetzner.requests)
    sys.stdout.write(
        f"   one master lost: {count} requests in {recovery.seconds:.0f} s, exit {recovery.code}, {_share(recovery)}\n"
    )


def _share(ran: tool.Run) -> str:
    kinds = Counter(ran.session.hetzner.requests)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())


if __name__ == "__main__":
    main()
