"""Masters that are there and not well, beyond the numbered scenarios: discarded, left alone, started, wiped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from bench.critical_path import read_lines

from hetzner_k3s.lab.simulated.faults import CutOff, DatabaseDeleted, Frozen, PoweredOff, ServerDeleted, SshSilent
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import Consents, Replace
from hetzner_k3s.model.errors import ExitCode

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .story import Story, healthy

_SEED = 71


def told(happens: Callable[[Story], Awaitable[None]], masters: int = 3) -> None:
    """Tell one story on virtual time."""

    async def play() -> None:
        async with healthy(_SEED, a_spec(masters)) as story:
            await happens(story)

    run(play())


def replacing(*names: str) -> Consents:
    return Consents.of(*map(Replace, names))


@pytest.mark.parametrize("name", [MASTER1, MASTER2, MASTER3])
def test_a_voter_whose_ssh_alone_is_cut_is_left_alone_and_the_exit_code_says_so(name: str) -> None:
    async def happens(story: Story) -> None:
        await story.happens(SshSilent(name))
        ended = await story.create()
        assert ended.code is ExitCode.PENDING, ended.story()
        assert not ended.writes
        assert ended.told.forecast is not None
        assert name in ended.told.forecast.degraded[0]

    told(happens)


def test_beside_it_a_lost_worker_is_replaced() -> None:
    async def happens(story: Story) -> None:
        await story.happens(SshSilent(MASTER2), ServerDeleted(WORKER1))
        ended = await story.create()
        assert ended.code is ExitCode.PENDING, ended.story()
        assert story.world.server(WORKER1) is not None
        await story.heals(SshSilent(MASTER2))
        await story.create()
        await story.is_converged(WORKER1)

    told(happens)


def test_one_that_answers_nobody_is_refused_and_discarded_only_with_consent() -> None:
    async def happens(story: Story) -> None:
        await story.happens(Frozen(MASTER2))
        await asyncio.sleep(60)
        refused = await story.create()
        assert refused.refused == ("master.unreachable",), refused.story()
        assert f"--replace {MASTER2}" in refused.told.refusals[0].you_can
        old = story.world.server(MASTER2)
        ended = await story.create(consents=replacing(MASTER2))
        assert ended.code is ExitCode.CONVERGED, ended.story()
        new = story.world.server(MASTER2)
        assert old is not None
        assert new is not None
        assert new.id != old.id
        await story.is_converged(MASTER2)

    told(happens)


def test_a_healthy_master_is_not_discarded() -> None:
    async def happens(story: Story) -> None:
        ended = await story.create(consents=replacing(MASTER3))
        assert ended.refused == ("consent.unfit",), ended.story()
        assert not ended.writes

    told(happens)


def test_one_that_quorum_needs_is_not_discarded() -> None:
    async def happens(story: Story) -> None:
        await story.happens(CutOff(MASTER1), Frozen(MASTER2))
        await asyncio.sleep(60)
        ended = await story.create(consents=replacing(MASTER2))
        assert ended.code is ExitCode.REFUSED, ended.story()
        assert not ended.writes

    told(happens)


@pytest.mark.parametrize("kill_at", [*range(1, 30), *range(30, 90, 5)])
def test_a_discarding_that_was_killed_is_gone_on_with(kill_at: int) -> None:
    async def happens(story: Story) -> None:
        await story.happens(Frozen(MASTER2))
        await asyncio.sleep(60)
        await story.create(consents=replacing(MASTER2), kill_at=kill_at)
        ended = await story.create(consents=replacing(MASTER2))
        if ended.refused == ("consent.unfit",):  # all was done before the kill
            ended = await story.create()
        await story.is_converged(MASTER2)

    told(happens)


def test_of_five_two_lost_ones_are_replaced_one_after_the_other() -> None:
    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2))
        await story.create()
        await story.is_converged(MASTER1, MASTER2)

    told(happens, masters=5)


def test_a_stopped_k3s_is_started_and_no_other_one() -> None:
    async def happens(story: Story) -> None:
        mischief.server_unit_stopped(story.world.host(MASTER2))
        ended = await story.create()
        assert ("StartMaster", MASTER2) in ended.told.steps, ended.story()
        await story.is_converged(MASTER2)

    told(happens)


def test_with_two_of_three_stopped_quorum_comes_back_by_starting_them() -> None:
    async def happens(story: Story) -> None:
        for name in (MASTER1, MASTER2):
            mischief.server_unit_stopped(story.world.host(name))
        await story.create()
        await story.is_converged(MASTER1, MASTER2)

    told(happens)


def test_one_that_was_removed_while_it_was_off_is_not_given_power_but_discarded_on_consent() -> None:
    async def happens(story: Story) -> None:
        await story.happens(PoweredOff(MASTER2))
        await mischief.election_over(story.world)
        await mischief.remove_member(story.world, MASTER2)
        ended = await story.create()
        assert ended.refused == ("master.former",), ended.story()
        await story.create(consents=replacing(MASTER2))
        await story.is_converged(MASTER2)

    told(happens)


def test_one_that_comes_back_after_its_member_was_removed_is_wiped_and_joins_anew() -> None:
    async def happens(story: Story) -> None:
        await story.happens(PoweredOff(MASTER2))
        await mischief.election_over(story.world)
        await mischief.remove_member(story.world, MASTER2)
        await story.heals(PoweredOff(MASTER2))
        await asyncio.sleep(60)
        before = story.world.server(MASTER2)
        ended = await story.create()
        assert ("WipeJoiner", MASTER2) in ended.told.steps, ended.story()
        assert story.world.server(MASTER2) is before
        await story.is_converged(MASTER2)

    told(happens)


@pytest.mark.parametrize("kill_at", [*range(1, 16), *range(16, 40, 3)])
def test_a_database_that_is_gone_is_repaired_wherever_the_run_is_killed(kill_at: int) -> None:
    async def happens(story: Story) -> None:
        await story.happens(DatabaseDeleted(MASTER1))
        await story.create(kill_at=kill_at)
        await story.create()
        await story.is_converged(MASTER1)
        assert not invariants.snapshot_first(story.world, story.runs)

    told(happens)


def test_nobody_waits_for_the_lease_of_a_lost_master() -> None:
    """Its Node goes at once: k3s' controller, which has no leader for 45 s, would find no member to remove."""

    async def happens(story: Story) -> None:
        lost = await mischief.lease_holder(story.world)
        await story.happens(ServerDeleted(lost))
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()
        _, took = read_lines(ended.told.lines)
        assert took["DeleteNode", lost] < 10, ended.story()
        await story.is_converged(lost)

    told(happens)
