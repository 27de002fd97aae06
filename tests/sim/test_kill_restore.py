"""Scenario 29 for the restore of a snapshot, and for a cluster given up: killed at a moment, the next run finishes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import Consents, NewClusterOver
from hetzner_k3s.model.errors import ExitCode

from . import invariants
from .clusters import MASTER1, a_spec, with_s3
from .scenarios_restore import (
    LATEST,
    MASTERS,
    k3s_stays_up,
    lose_all,
    lose_all_addresses,
    others_leave,
    restored_picture,
    snapshot_now,
    workers_go_on,
    write_later,
)
from .story import Story, healthy

Loss = Callable[[Story], Awaitable[None]]

_SEED = 1
_EVERY = 11
"""Of the moments of a restore every so-manieth is tried: all of them take minutes (`scripts/soak` has the time)."""


async def _again(story: Story, consents: Consents, ends: ExitCode = ExitCode.CONVERGED) -> list[str]:
    """Run to the end: with the same consent, and without it where that is refused because it was acted on."""
    last = await story.create(consents=consents)
    if last.refused == ("consent.unfit",):
        last = await story.create()
    return [] if last.code is ends else [last.story()]


async def _restore_killed(kill_at: int | None, lose: Loss) -> tuple[list[str], list[str]]:
    """Kill a restore at a moment and run again; give the moments passed, and what is broken afterwards."""
    async with healthy(_SEED, with_s3()) as story:
        snapshot_now(story)
        await write_later(story)
        await lose(story)
        first = await story.create(kill_at=kill_at, consents=LATEST)
        passed = first.session.moments.passed
        broken = await _again(story, LATEST)
        if broken:
            return passed, broken
        restored_picture(story)
        await k3s_stays_up(story, *MASTERS)
        await others_leave(story)
        broken = story.broken(*MASTERS)
        return passed, broken if workers_go_on(story) else [*broken, "a worker was made anew"]


@pytest.mark.parametrize("lose", [lose_all, lose_all_addresses])
def test_a_restore_killed_at_any_moment_is_finished_by_the_next_run(lose: Loss) -> None:
    moments, broken = run(_restore_killed(None, lose))
    assert not broken
    for kill_at in range(1, len(moments) + 1, _EVERY):
        passed, broken = run(_restore_killed(kill_at, lose))
        assert passed[-1] == moments[kill_at - 1], "the same seed took another way"
        assert not broken, f"killed {passed[-1]} (moment {kill_at} of seed {_SEED}): {broken}"


async def _given_up(kill_at: int | None) -> tuple[list[str], list[str]]:
    """Give a lost cluster of one master up; killed or not, there is one new cluster afterwards."""
    async with healthy(_SEED, a_spec(1, 1)) as story:
        over = Consents.of(NewClusterOver(story.before.ca[:8]))
        await lose_all(story, MASTER1)
        first = await story.create(kill_at=kill_at, consents=over)
        passed = first.session.moments.passed
        broken = await _again(story, over, ExitCode.PENDING)  # the old one's worker is left and named
        births = len(story.world.site.births) - story.before.births
        if births != 1:
            broken.append(f"{births} births")
        if story.world.host(MASTER1).disk.facts().server_ca == story.before.ca:
            broken.append("the old CA lives on")
        return passed, [*broken, *invariants.always(story.world)]


def test_a_cluster_given_up_is_born_once_wherever_the_run_is_killed() -> None:
    moments, broken = run(_given_up(None))
    assert not broken
    for kill_at in range(1, len(moments) + 1, _EVERY):
        passed, broken = run(_given_up(kill_at))
        assert passed[-1] == moments[kill_at - 1], "the same seed took another way"
        assert not broken, f"killed {passed[-1]} (moment {kill_at} of seed {_SEED}): {broken}"
