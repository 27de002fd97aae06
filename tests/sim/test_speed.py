"""How quick the simulation is: told, not asserted, since machines that run tests are shared."""

from __future__ import annotations

import time

from tests.conftest import Tell

from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode

from . import tool
from .clusters import a_spec


def test_a_whole_create_waits_in_virtual_time_only(tell: Tell) -> None:
    async def create() -> tuple[ExitCode | None, float]:
        async with world(1) as place:
            made = await tool.create(place, a_spec(masters=3, workers=2))
            return made.code, place.clock.monotonic()

    began = time.process_time()
    code, virtual = run(create())
    tell(f"create 3+2 in the simulation: {time.process_time() - began:.2f} s for {virtual:.0f} s of virtual time")
    assert code is ExitCode.CONVERGED
    assert virtual > 60
