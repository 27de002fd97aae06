"""What storms found, as stories of their own: a storm's seed tells another story as soon as a fault is added."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated.faults import Rebooted, ServerDeleted, until
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode

from . import invariants, tool
from .clusters import MASTER1, MASTER2, WORKER1, a_spec


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


def test_a_birth_whose_power_is_cut_before_its_first_log_entry_stands_still_and_says_so() -> None:
    """TLS files and token are there, a WAL is not, and the permit went with /run (TRACK_RECORD.md)."""

    async def story() -> None:
        spec = a_spec()
        async with world(6) as place:
            birth = asyncio.ensure_future(tool.create(place, spec, kill_at=f"after StartK3s on {MASTER1}"))
            await until(lambda: place.server(MASTER2) is not None, "a second server")
            await birth
            seed = place.host(MASTER1)
            await until(lambda: seed.disk.server_ca is not None, "the authorities")
            assert seed.disk.drive.data is None
            await Rebooted(MASTER1).strike(place)
            await asyncio.sleep(60)
            again = await tool.create(place, spec)
            assert again.code is ExitCode.REFUSED, again.story()
            assert again.refused == ("birth.half-begun",)
            assert not place.site.births
            await ServerDeleted(MASTER1).strike(place)
            assert (await tool.create(place, spec)).code is ExitCode.CONVERGED
            assert not invariants.converged(place, spec)

    run(story())
