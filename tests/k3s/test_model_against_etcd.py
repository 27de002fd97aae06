"""The deterministic etcd against real ones: the same random operations are accepted, refused and kept alike."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.conftest import Tell

from .etcd_operations import Outcome
from .etcd_real_world import IMPATIENCE, PATIENCE, Programs, RealWorld
from .etcd_sequences import Sequence, sequence

SEEDS = "HETZNER_K3S_ETCD_SEEDS"
"""Set in the environment: how many sequences are tried, instead of those of `make test`."""

USUAL = 12
AT_ONCE = 12
"""Sequences that run side by side: most of their time is rest."""

RESTLESS = frozenset({"join", "promote", "remove", "kill", "restart", "cut", "mend", "reset", "restore"})
"""After these, connections are new, or may be broken and made anew."""

STRICT = True
"""Debian's etcd (3.5.16) wants all voters connected before another is added."""


async def disagreement(told: Sequence, programs: Programs, base: Path) -> str | None:
    """Live through a sequence on real processes; say where they differ from the model first."""
    world = RealWorld(programs, base)
    lived = [f"seed {told.seed}, {told.size} members"]
    try:
        await world.begin(told.size)
        seen = await world.comes_to(told.begun.picture, restless=True)
        if seen != told.begun.picture:
            return "\n".join([*lived, f"begun as {seen}, the model as {told.begun.picture}"])
        for at, (operation, expected) in enumerate(told.told):
            hurried = at + 1 < len(told.told) and told.told[at + 1][0].what.endswith("at once")
            world.patience = IMPATIENCE if expected.answer == "unavailable" else PATIENCE
            answer = await world.carry_out(operation)
            seen = expected.picture
            if not hurried:
                seen = await world.comes_to(seen, restless=operation.what in RESTLESS)
            lived.append(f"{operation}: {answer}")
            if (got := Outcome(answer, seen)) != expected:
                return "\n".join([*lived, f"etcd:  {got}", f"model: {expected}"])
    finally:
        await world.close()
    return None


async def _all(told: list[Sequence], programs: Programs, base: Path) -> list[str]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(sequence_told: Sequence) -> str | None:
        async with turns:
            return await disagreement(sequence_told, programs, base / str(sequence_told.seed))

    found = await asyncio.gather(*(one(each) for each in told))
    return [text for text in found if text is not None]


@pytest.mark.timeout(1800)
def test_the_model_and_etcd_agree(rootfs: Path, tmp_path: Path, tell: Tell) -> None:
    told = [sequence(seed, strict=STRICT) for seed in range(int(os.environ.get(SEEDS) or USUAL))]
    for each in told:
        (tmp_path / "etcd" / str(each.seed)).mkdir(parents=True)
    found = asyncio.run(_all(told, Programs(rootfs / "usr" / "bin"), tmp_path / "etcd"))
    answers = sorted({outcome.answer for each in told for _, outcome in each.told})
    tell(f"{len(told)} sequences, {sum(len(t.told) for t in told)} operations; answers: {answers}")
    assert not found, "\n\n".join([f"{len(found)} disagree:", *found])
