"""The simulation itself: one seed, one story; time that jumps; a birth within its time."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import Deadlock, run
from hetzner_k3s.lab.simulated.world import world
from hetzner_k3s.model.errors import ExitCode

from . import invariants, mischief, tool
from .clusters import MASTER2, a_spec
from .story import healthy

_ROOT = Path(__file__).parents[2]


def test_waiting_takes_no_time_and_waiting_for_ever_is_an_error() -> None:
    began = time.monotonic()
    run(asyncio.sleep(1_000_000))
    assert time.monotonic() - began < 10

    async def for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(for_ever())


@pytest.mark.parametrize("masters", [1, 3, 5])
def test_a_cluster_is_born_once_and_a_second_run_does_nothing(masters: int) -> None:
    async def story() -> list[str]:
        spec = a_spec(masters, load_balancer=masters > 1)
        async with world(masters) as place:
            birth = await tool.create(place, spec)
            assert birth.code is ExitCode.CONVERGED, birth.story()
            twice = {key for key in birth.told.steps if birth.told.steps.count(key) > 1}
            assert all(verb == "MarkMember" for verb, _ in twice), f"taken more than once: {twice}"
            assert "RenewToken" not in {verb for verb, _ in birth.told.steps}, "the birth left a bare token"
            broken = invariants.converged(place, spec) + invariants.secrets_kept(place, [birth])
            return broken + invariants.second_run(await tool.create(place, spec))

    assert not run(story())


_TELL = """
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from tests.sim.storms import storm
print(run(storm(7)).story())
"""


def test_the_same_seed_tells_the_same_story_whatever_the_hash_seed() -> None:
    def told(hash_seed: str) -> str:
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        return subprocess.run(
            [sys.executable, "-c", _TELL], cwd=_ROOT, env=environment, capture_output=True, check=True, text=True
        ).stdout

    first = told("1")
    assert "exit" in first
    assert first == told("4711")


def test_a_repair_interrupts_no_write() -> None:
    """I10: beside the election after the loss, a client that writes every second notices nothing of the repair."""

    async def story() -> list[str]:
        async with healthy(3) as cluster:
            await cluster.happens(ServerDeleted(MASTER2))
            await mischief.election_over(cluster.world)
            failed: list[str] = []

            async def write() -> None:
                number = 0
                while True:
                    await asyncio.sleep(1)
                    number += 1
                    began = asyncio.get_running_loop().time()
                    try:
                        await mischief.etcd(cluster.world).put(f"/probe/{number}", b"", 0)
                    except (EtcdError, StopIteration) as problem:
                        failed.append(f"{began}: {problem}")

            writing = asyncio.ensure_future(write())
            assert (await cluster.create()).code is ExitCode.CONVERGED
            writing.cancel()
            return failed

    assert not run(story())
