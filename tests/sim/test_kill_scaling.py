"""Scenario 29 for growing and shrinking: killed at any moment, and finished by the next run."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.model.consents import Consents, Prune
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, tool, workloads
from .clusters import MASTER2, MASTER3, WORKER2, a_spec
from .killing import killed_at_every_moment
from .story import Story, healthy

_SEED = 1
_PRUNE = Consents.of(Prune())


async def _finished(story: Story, wish: ClusterSpec, kill_at: int | None, consents: Consents) -> list[str]:
    """Run for a wish, killed, and again; name what is broken then. The first run's moments are `story.runs`'."""
    story.wish(wish)
    await story.create(kill_at=kill_at, consents=consents)
    if kill_at is not None and (await story.create(consents=consents)).code is not ExitCode.CONVERGED:
        return [story.runs[-1].story()]
    broken = story.broken()
    return broken or invariants.second_run(await story.create(consents=consents))


def _moments(story: Story) -> list[str]:
    return story.runs[1].session.moments.passed


async def _growth_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    async with healthy(_SEED, a_spec(1, 1)) as story:
        broken = await _finished(story, a_spec(3, 1), kill_at, tool.NONE_GIVEN)
        return _moments(story), broken


async def _prune_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    """Two masters and a worker with a pod go; a run without the flag in between changes nothing that goes."""
    async with healthy(_SEED) as story:
        await workloads.pod(story.world, "web-2", WORKER2)
        kept = {k: v for k, v in story.before.servers.items() if k not in {MASTER2, MASTER3, WORKER2}}
        story.before = replace(story.before, servers=kept)
        broken = await _finished(story, a_spec(1, 1), kill_at, _PRUNE)
        return _moments(story), broken


async def _prune_given_up(kill_at: int | None) -> tuple[list[str], list[str]]:
    """The first run is killed; then the file wants everything again, and nobody gives the flag."""
    async with healthy(_SEED) as story:
        wish = story.spec
        story.wish(a_spec(1, 1))
        if kill_at is None:
            await story.create(consents=_PRUNE)
            return _moments(story), []
        await story.create(kill_at=kill_at, consents=_PRUNE)
        story.wish(wish)
        # A server that was being deleted when the tool died keeps its name for a while: that costs a run.
        if ExitCode.CONVERGED not in {(await story.create()).code, (await story.create()).code}:
            return _moments(story), [story.runs[-1].story()]
        return _moments(story), story.broken(MASTER2, MASTER3, WORKER2)


def test_growing_from_one_to_three_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_growth_killed, _SEED, every=5)


def test_a_prune_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_prune_killed, _SEED, every=9)


def test_a_prune_killed_at_any_moment_can_be_taken_back() -> None:
    killed_at_every_moment(_prune_given_up, _SEED, every=9)
