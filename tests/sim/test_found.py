"""What storms found, as stories of their own: a storm's seed tells another story as soon as a fault is added."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode

from . import invariants, tool
from .clusters import MASTER1, WORKER1, a_spec


def test_a_worker_that_knows_only_the_lost_master_does_not_stop_its_repair() -> None:
    """TRACK_RECORD.md 3."""

    async def story() -> list[str]:
        spec = a_spec(workers=1)
        async with world(5) as place:
            birth = await tool.create(place, spec)
            assert birth.code is ExitCode.CONVERGED, birth.story()
            alone = place.host(MASTER1).addresses[0]
            await ServerDeleted(MASTER1).strike(place)
            place.host(WORKER1).disk.agent_servers = [alone]
            place.host(WORKER1).disk.config = (place.host(WORKER1).disk.config or "").replace("10.0.0.3", alone)
            await asyncio.sleep(90)
            again = await tool.create(place, spec)
            assert again.code is ExitCode.CONVERGED, again.story()
            return invariants.converged(place, spec)

    assert not run(story())
