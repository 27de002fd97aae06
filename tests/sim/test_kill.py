"""Scenarios 29 and 74: the tool is killed before, after and within every single effect; the next run finishes."""

from __future__ import annotations

import os
from functools import cache, partial

import pytest

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import ExitCode

from . import invariants, mischief, tool, used_by_servers
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .killing import ALL, killed_at_every_moment
from .story import healthy
from .used_by_servers import ALL_GOES

_SEED = 1


_ANY_FIRST = pytest.mark.parametrize("first", [MASTER1, MASTER2, MASTER3])
"""Masters are ordered at once, and whichever is up first begins the cluster."""


@cache
def _seed_of(first: str) -> int:
    """Find a seed with which this master is up first."""

    async def begun_on(seed: int) -> str:
        async with world(seed) as place:
            await tool.create(place, a_spec())
            return _begun_on(place)

    return next(seed for seed in range(1, 100) if run(begun_on(seed)) == first)


async def _birth_killed(seed: int, kill_at: int | None) -> tuple[list[str], list[str]]:
    """Kill a birth at a moment and run again; give the moments passed, and what is broken afterwards."""
    spec = a_spec()
    async with world(seed) as place:
        first = await tool.create(place, spec, kill_at=kill_at)
        if kill_at is None:
            return first.session.moments.passed, invariants.converged(place, spec)
        second = await tool.create(place, spec)
        if second.code is not ExitCode.CONVERGED:
            return first.session.moments.passed, [second.story()]
        return first.session.moments.passed, invariants.converged(place, spec)


async def _recovery_killed(kill_at: int | None, *, leading: bool = False) -> tuple[list[str], list[str]]:
    async with healthy(_SEED) as story:
        lost = await mischief.lease_holder(story.world) if leading else MASTER1
        await story.happens(ServerDeleted(lost))
        first = await story.create(kill_at=kill_at)
        passed = first.session.moments.passed
        if kill_at is not None and (await story.create()).code is not ExitCode.CONVERGED:
            return passed, [story.runs[-1].story()]
        return passed, story.broken(lost)


@_ANY_FIRST
def test_a_birth_killed_at_any_moment_is_finished_by_the_next_run(first: str) -> None:
    seed = _seed_of(first)
    killed_at_every_moment(partial(_birth_killed, seed), seed, every=17)


def test_a_recovery_of_master1_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_recovery_killed, _SEED, every=4)


def test_a_recovery_whose_node_we_release_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    """The master is lost that held the lease of k3s' controller for Nodes."""
    killed_at_every_moment(partial(_recovery_killed, leading=True), _SEED, every=7)


_EVERY = 17
"""Of the moments at which the seed is lost besides, every so-manieth: the others differ little."""


async def _seed_lost(number: int, kill_at: int) -> list[str]:
    """Kill a birth, delete the master that it began on, and run again (scenario 74)."""
    spec = a_spec()
    async with world(number) as place:
        await tool.create(place, spec, kill_at=kill_at)
        seed = _begun_on(place)
        if place.server(seed) is None or not ServerDeleted(seed).possible(place):
            return []
        born, births = _recorded_as_born(place), len(place.site.births)
        await ServerDeleted(seed).strike(place)
        lost = invariants.quorum_lost(place)
        again = await tool.create(place, spec)
        broken = invariants.always(place)
        if born and len(place.site.births) > births:
            broken.append("a cluster that was recorded as initialized was initialized again")
        if born and lost:
            return broken if again.code is ExitCode.REFUSED and not again.writes else [*broken, again.story()]
        return broken if again.code is ExitCode.CONVERGED else [*broken, again.story()]


def _begun_on(place: World) -> str:
    """Name the master that is recorded as the first, else master1."""
    recorded = {group.labels.get(naming.LABEL_SEED) for group in place.project.placement_groups.values()}
    return next((s.name for s in place.project.servers.values() if str(s.id) in recorded), MASTER1)


def _recorded_as_born(place: World) -> bool:
    """Tell whether any resource says that the cluster was initialized."""
    carriers = (place.project.placement_groups, place.project.networks, place.project.firewalls, place.project.servers)
    labels = [resource.labels for found in carriers for resource in found.values()]
    return any(found.get(naming.LABEL_PHASE) == naming.PHASE_BORN for found in labels)


@_ANY_FIRST
def test_a_birth_whose_seed_is_lost_begins_anew_or_stands_still_once_it_was_recorded(first: str) -> None:
    number, every = _seed_of(first), 1 if os.environ.get(ALL) else _EVERY
    moments, _ = run(_birth_killed(number, None))
    for kill_at in range(1, len(moments) + 1, every):
        broken = run(_seed_lost(number, kill_at))
        assert not broken, f"killed {moments[kill_at - 1]} (moment {kill_at} of seed {number}): {broken}"


async def _deletion_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    async with healthy(_SEED) as story:
        first = await tool.delete(story.world, story.spec, kill_at=kill_at)
        passed = first.session.moments.passed
        last = first if kill_at is None else await tool.delete(story.world, story.spec)
        project = story.world.project
        resources = (project.servers, project.networks, project.firewalls, project.placement_groups, project.ssh_keys)
        left = [resource.name for found in resources for resource in found.values()]
        forgotten = story.world.laptop.kubeconfig is None and story.world.laptop.births[-1] == "birth closed"
        if last.code is not ExitCode.CONVERGED or not forgotten:
            return passed, [last.story()]
        return passed, left


def test_a_deletion_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    killed_at_every_moment(_deletion_killed, _SEED, every=5)


async def _whole_deletion_killed(kill_at: int | None) -> tuple[list[str], list[str]]:
    async with healthy(_SEED) as story:
        place, spec = story.world, story.spec
        await used_by_servers.make_volume(place, at=WORKER1)
        await used_by_servers.make_volume(place, "backup", at=WORKER1, labels=used_by_servers.BY_HAND)
        used_by_servers.make_balancer(place, WORKER1)
        first = await tool.delete(place, spec, kill_at=kill_at, consents=ALL_GOES)
        last = first if kill_at is None else await tool.delete(place, spec, consents=ALL_GOES)
        left = used_by_servers.left_behind(place)
        whole = last.code is ExitCode.CONVERGED and left == {"backup"} and not place.project.networks
        return first.session.moments.passed, [] if whole else [f"{left}\n{last.story()}"]


def test_a_deletion_with_volumes_killed_at_any_moment_is_finished_by_the_next_run() -> None:
    """Whatever is gone already, what Kubernetes made is still told from what somebody made by hand."""
    killed_at_every_moment(_whole_deletion_killed, _SEED, every=5)
