"""Storms while a cluster grows or shrinks: faults strike, runs are killed, and in the end it is as the file says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

import pytest

from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, storms, tool
from .clusters import a_spec
from .invariants import Picture
from .storms import Storm

_PRUNE: Final = Consents(prune=True)
_SEEDS: Final = 15
_CHUNKS: Final = 3
_LAST_RUNS: Final = 4
_REST: Final = 45.0
_ALL_LOST: Final = frozenset({"masters.all-lost", "masters.none-healthy", "quorum.lost"})

_WISHES: Final = (
    (a_spec(5, 2), a_spec(3, 1)),
    (a_spec(5, 1), a_spec(1, 1)),
    (a_spec(3, 2), a_spec(1, 1)),
    (a_spec(3, 1), a_spec(3, 0)),
    (a_spec(3, 0), a_spec(5, 1)),
    (a_spec(1, 1), a_spec(3, 2)),
)
"""What was, and what is wished for."""


async def _storm(seed: int) -> Storm:
    chance, told = Chance(seed, "scaling"), Storm(seed)
    before_spec, spec = chance.choice(_WISHES)
    told.strikes.append(f"{len(before_spec.servers())} servers -> {len(spec.servers())}")
    async with world(seed) as place:
        before = await storms.born(place, before_spec, told)
        striking = [storms.a_fault(before_spec, chance) for _ in range(1 + int(chance.uniform(0, 2)))]
        storm_over = asyncio.ensure_future(storms.strike(place, striking, chance, told))
        for _ in range(1 + int(chance.uniform(0, 2))):
            kill_at = 1 + int(chance.uniform(0, 90)) if chance.happens(0.5) else None
            told.runs.append(await tool.create(place, spec, kill_at=kill_at, consents=_PRUNE))
            told.broken += invariants.always(place, before)
            await asyncio.sleep(chance.uniform(0, 30))
        await storm_over
        for fault in reversed(told.struck):
            await fault.heal(place)
            told.quorum_lost |= invariants.quorum_lost(place)
        await asyncio.sleep(_REST)
        told.broken += await _ended(place, spec, told, before)
        place.check()
    return told


async def _ended(place: World, spec: ClusterSpec, told: Storm, before: Picture) -> list[str]:
    for _ in range(_LAST_RUNS):
        last = await tool.create(place, spec, consents=_PRUNE)
        told.runs.append(last)
        if broken := invariants.always(place, before):
            return broken
        if last.code is ExitCode.CONVERGED:
            return _converged(place, spec, told, before)
        if told.quorum_lost and last.refused and set(last.refused) <= _ALL_LOST:
            return []
        await asyncio.sleep(_REST)
    return [f"never converged: exit {last.code} {last.error or ''} {last.refused}"]


def _converged(place: World, spec: ClusterSpec, told: Storm, before: Picture) -> list[str]:
    """Ask all invariants, of a cluster that has only what the file wants; what the storm itself touched may be new."""
    wanted = {server.name for server in spec.servers()}
    kept = replace(before, servers={name: number for name, number in before.servers.items() if name in wanted})
    touched = {getattr(fault, "name", "") for fault in told.struck}
    return invariants.converged(place, spec, kept, lost=touched)


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_scaling_in_a_storm_ends_as_the_file_says(chunk: int) -> None:
    for seed in range(chunk, _SEEDS, _CHUNKS):
        passed = run(_storm(seed))
        assert not passed.broken, passed.story()
