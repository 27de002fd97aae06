"""A host removes a living member only while the world is as the decision saw it: it looks again in the same call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.hosts.refusal import PRECONDITION_CHANGED, OperationRefused
from hetzner_k3s.lab.simulated.operations.host_operations import carry_out
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.operations.members import MembersPrecondition, MoveLeader, RetireMember
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation
from hetzner_k3s.model.operations.service import StopK3s

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, a_spec
from .story import Story, healthy


def _ids(story: Story) -> dict[str, str]:
    return {m.name.rpartition("-")[0]: str(m.id) for m in mischief.etcd(story.world).data.members.values()}


def _retire(story: Story, name: str, *, uid: str | None = None, leave_out: str | None = None) -> RetireMember:
    ids = tuple(number for master, number in _ids(story).items() if master != leave_out)
    precondition = MembersPrecondition(ids=ids, uid=uid or story.before.uid)
    return RetireMember(member_id=_ids(story)[name], precondition=precondition, fence=1)


async def _do(story: Story, on: str, operation: Operation[Done]) -> Done:
    done: Done = await carry_out(story.world.host(on), operation, HostKeyKind.FINAL)
    return done


async def _changed(story: Story, on: str, operation: Operation[Done]) -> str:
    with pytest.raises(OperationRefused) as refused:
        await _do(story, on, operation)
    assert refused.value.kind == PRECONDITION_CHANGED
    return str(refused.value)


def _play(happens: Callable[[Story], Awaitable[None]]) -> None:
    async def play() -> None:
        async with healthy(7, a_spec(3, 0)) as story:
            await mischief.etcd(story.world).move_leader(int(_ids(story)[MASTER1]))
            await happens(story)

    run(play())


def test_another_world_than_the_decisions_keeps_the_member() -> None:
    async def happens(story: Story) -> None:
        assert "UID" in await _changed(story, MASTER1, _retire(story, MASTER3, uid="another"))
        assert "other members" in await _changed(story, MASTER1, _retire(story, MASTER3, leave_out=MASTER2))
        assert "leads the cluster" in await _changed(story, MASTER2, _retire(story, MASTER1))
        assert "itself" in await _changed(story, MASTER3, _retire(story, MASTER3))
        assert len(_ids(story)) == 3

    _play(happens)


def test_a_voter_that_is_not_connected_keeps_the_member() -> None:
    async def happens(story: Story) -> None:
        await story.happens(faults.CutOff(MASTER2))
        await asyncio.sleep(10)
        assert "connected" in await _changed(story, MASTER1, _retire(story, MASTER3))

    _play(happens)


def test_a_learner_keeps_the_member() -> None:
    async def happens(story: Story) -> None:
        await mischief.add_learner(story.world, "10.0.0.99")
        assert "learner" in await _changed(story, MASTER1, _retire(story, MASTER3))

    _play(happens)


def test_leadership_is_handed_to_a_connected_voter_and_only_by_who_leads() -> None:
    async def happens(story: Story) -> None:
        assert "no voter" in await _changed(story, MASTER1, MoveLeader(heir="7", fence=1))
        await _do(story, MASTER3, MoveLeader(heir=_ids(story)[MASTER2], fence=1))
        assert mischief.leader(story.world) == MASTER1
        await _do(story, MASTER1, MoveLeader(heir=_ids(story)[MASTER2], fence=1))
        assert mischief.leader(story.world) == MASTER2
        await story.happens(faults.CutOff(MASTER3))
        await asyncio.sleep(10)
        assert "connected" in await _changed(story, MASTER2, MoveLeader(heir=_ids(story)[MASTER3], fence=1))

    _play(happens)


def test_a_member_is_not_stopped() -> None:
    async def happens(story: Story) -> None:
        assert "a member" in await _changed(story, MASTER3, StopK3s(role=K3sRole.SERVER, fence=1))
        await _do(story, MASTER1, _retire(story, MASTER3))
        await _do(story, MASTER1, _retire(story, MASTER2, leave_out=MASTER3))
        await _do(story, MASTER3, StopK3s(role=K3sRole.SERVER, fence=1))
        assert not story.world.host(MASTER3).units[K3sRole.SERVER].running

    _play(happens)
