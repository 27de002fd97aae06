"""What the laws demand of a run: shown is run, no retry in a step, preconditions read again.

See docs/architecture.md#laws.
"""

from __future__ import annotations

import asyncio

import pytest

from hetzner_k3s.cli import simulated
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ApiFault, DatabaseDeleted, Rebooted, ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model import lookup
from hetzner_k3s.model.errors import ExitCode, PreconditionChanged
from hetzner_k3s.model.hosts.contact import host_target
from hetzner_k3s.model.operations.members import MembersPrecondition, RemoveMember

from . import invariants
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .story import Story, healthy

_SEED = 11


def test_a_master_that_lost_its_disk_begins_no_cluster() -> None:
    """Law 3: a lone master's configuration names nobody to join, so only the start guard stands in the way."""

    async def tell() -> None:
        async with healthy(_SEED, a_spec(1)) as story:
            await story.happens(DatabaseDeleted(MASTER1), Rebooted(MASTER1))
            await asyncio.sleep(120)
            assert len(story.world.site.births) == story.before.births
            assert story.world.host(MASTER1).disk.drive.data is None

    run(tell())


def test_a_run_that_would_have_to_do_more_than_it_showed_ends() -> None:
    """Law 10: a worker is lost while master1 is being replaced; only the next run makes it anew."""

    async def tell() -> None:
        async with healthy(_SEED) as story:
            await story.happens(ServerDeleted(MASTER1))
            running = asyncio.ensure_future(story.create())
            await faults.until(lambda: story.world.server(MASTER1) is not None, "the replacement")
            await story.happens(ServerDeleted(WORKER1))
            ended = await running
            assert ended.code is ExitCode.FAILED, ended.story()
            assert "more has to be done than was shown" in str(ended.error)
            assert ended.told.forecast is not None
            assert set(ended.told.steps) <= {(key.verb, key.target) for key in ended.told.forecast.keys}
            await story.create()
            await story.is_converged(MASTER1, WORKER1)

    run(tell())


def test_a_step_that_failed_is_begun_again_by_the_next_pass_and_never_inside() -> None:
    """Every attempt is told, and one that is out of stock is made once (docs/architecture.md#the-loop)."""

    async def tell() -> None:
        async with healthy(_SEED) as story:
            await story.happens(ServerDeleted(MASTER1), ApiFault("unavailable"))
            ended = await story.create()
            asked = [write for write in ended.writes if write == "POST /servers"]
            assert len(asked) == ended.told.steps.count(("CreateServer", MASTER1)) == 1, ended.story()

    run(tell())


async def _remove(story: Story, precondition: MembersPrecondition, victim: str) -> None:
    """Have master2 remove a member, as the step does."""
    ports = simulated.ports(story.world.session(story.spec.name))
    view = await ports.cloud.survey()
    via = next(s for s in view.servers if s.name == MASTER2)
    target = host_target(story.spec, via, lookup.internal_ips(story.spec, view))
    assert target is not None
    await ports.hosts.perform(target, RemoveMember(member_id=victim, precondition=precondition, fence=2**40))


def test_a_host_removes_nobody_on_a_basis_that_is_no_longer_true() -> None:
    """Law 6: member list, identity and life are read again in the call that acts."""

    async def tell() -> None:
        async with healthy(_SEED) as story:
            data = invariants.leading_data(story.world)
            assert data is not None
            ids = tuple(sorted(str(number) for number in data.members))
            victim = next(str(m.id) for m in data.voters if m.name.startswith(MASTER3))
            right = MembersPrecondition(ids=ids, uid=story.before.uid)
            with pytest.raises(PreconditionChanged, match="alive"):
                await _remove(story, right, victim)
            await story.happens(ServerDeleted(MASTER3))
            await asyncio.sleep(20)
            for wrong in (MembersPrecondition(ids=ids[:2], uid=right.uid), MembersPrecondition(ids=ids, uid="another")):
                with pytest.raises(PreconditionChanged):
                    await _remove(story, wrong, victim)
            await _remove(story, right, victim)
            left = invariants.leading_data(story.world)
            assert left is not None
            assert len(left.members) == 2

    run(tell())
