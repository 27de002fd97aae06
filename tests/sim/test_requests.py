"""How many requests a run sends to Hetzner, which counts them.

See docs/architecture.md#budgets.
"""

from __future__ import annotations

from collections import Counter

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.errors import ExitCode

from . import tool
from .clusters import MASTER1, a_spec
from .story import healthy

_IDLE = 10


def _requests(ran: tool.Run) -> Counter[str]:
    return Counter(ran.session.hetzner.requests)


def test_servers_and_actions_are_awaited_many_at_once() -> None:
    async def story() -> None:
        async with healthy(1, a_spec(3, 20)) as cluster:
            born = _requests(cluster.runs[0])
            assert born["POST /servers"] == 23
            assert not born["GET /actions/{id}"]
            assert born.total() <= 7 * 23, born
            assert _requests(await cluster.create()).total() <= _IDLE
            await cluster.happens(ServerDeleted(MASTER1))
            repair = await cluster.create()
            assert repair.code is ExitCode.CONVERGED
            assert _requests(repair).total() <= 75, _requests(repair)
            assert _requests(repair)["GET /networks"] == 1, "what surrounds the servers is listed before the lock alone"

    run(story())
