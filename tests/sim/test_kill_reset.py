"""Scenario 29 for the reset of a lost quorum: killed at any moment, the same command finishes it; nothing is born."""

from __future__ import annotations

import pytest

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import Consents, ResetQuorumFrom
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants
from .clusters import a_spec
from .story import Story, healthy

_SEED = 1
_EVERY = 20
"""Of the other moments every so-manieth: what comes after the reset is ordinary replacement. All of them were run once
(83 and 123 moments of seed 1).
"""
_THE_RESET_ITSELF = ("HoldK3s", "keep_rescue", "FenceMember", "ResetCluster")


async def _reset_killed(kill_at: int | None, spec: ClusterSpec) -> tuple[list[str], list[str]]:
    """Lose a majority, consent to a reset, kill it at a moment, say the same again; give moments and what is broken."""
    async with healthy(_SEED, spec) as story:
        lost = _names(spec)[: len(spec.masters) // 2 + 1]
        named = _names(spec)[-1]
        consents = Consents.of(ResetQuorumFrom(named))
        await story.happens(*(ServerDeleted(name) for name in lost))
        first = await story.create(kill_at=kill_at, consents=consents)
        passed = first.session.moments.passed
        if kill_at is not None and (await story.create(consents=consents)).code is not ExitCode.CONVERGED:
            return passed, [first.story(), story.runs[-1].story()]
        return passed, _broken(story, named, lost)


def _names(spec: ClusterSpec) -> list[str]:
    return [master.name for master in spec.masters]


def _broken(story: Story, named: str, lost: list[str]) -> list[str]:
    """Name what is broken after a reset: its survivor was stopped on purpose, and is still the same server."""
    left = [name for name in _names(story.spec) if name not in lost]
    broken = story.broken(*lost, *left)
    for name in left:
        server = story.world.server(name)
        if server is None or server.id != story.before.servers[name]:
            broken.append(f"{name} was replaced although it was there")
    rescued = [rescue.server for rescue in story.world.laptop.rescues]
    if named not in rescued:
        broken.append(f"the data of {named} was not copied off: {rescued}")
    return broken + invariants.lineage_known(story.world, story.spec)


def _chosen(moments: list[str]) -> list[int]:
    """Number every moment of the reset itself, and some of the rest."""
    return [
        number
        for number, moment in enumerate(moments, start=1)
        if number % _EVERY == 0 or any(word in moment for word in _THE_RESET_ITSELF)
    ]


@pytest.mark.parametrize("spec", [a_spec(), a_spec(5, 1)], ids=["one survivor", "two survivors, one is fenced"])
def test_a_reset_killed_at_any_moment_is_finished_by_the_same_command(spec: ClusterSpec) -> None:
    moments, broken = run(_reset_killed(None, spec))
    assert not broken
    for kill_at in _chosen(moments):
        passed, broken = run(_reset_killed(kill_at, spec))
        assert passed[-1] == moments[kill_at - 1], "the same seed took another way"
        assert not broken, f"killed {moments[kill_at - 1]} (moment {kill_at} of seed {_SEED}): {broken}"
