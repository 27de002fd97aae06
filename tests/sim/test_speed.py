"""The simulation is quick enough to be run thousands of times."""

from __future__ import annotations

import time

from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode

from . import tool
from .clusters import a_spec

CREATE = 1.0
"""Seconds in which a cluster of three masters and two workers is created in the simulation (the best of three)."""


def test_a_whole_create_takes_less_than_a_second() -> None:
    async def create() -> ExitCode | None:
        async with world(1) as place:
            return (await tool.create(place, a_spec(masters=3, workers=2))).code

    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        assert run(create()) is ExitCode.CONVERGED
        best = min(best, time.process_time() - began)
    assert best <= CREATE, f"it took {best:.2f} s"
