"""Scenarios 1-17, 32-47: servers, members, Nodes and disks that are lost, and how many masters there should be."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated.faults import DatabaseDeleted, PoweredOff, Rebuilt, ServerDeleted, SshSilent
from hetzner_k3s.model.consents import Consents, Prune
from hetzner_k3s.model.errors import ExitCode

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .scenario import Collection, Told, converges, recovers, refuses
from .story import Story
from .tool import Run

LOSS = Collection()
_add = LOSS.add

_NEEDS_CONSENT = "snapshot of the survivor saved, plan shown; with --reset-quorum-from three voters with its data"


@_add("1", "master1-deleted", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))


@_add("2", "master2-deleted", converges(MASTER2))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER2))


@_add("3", "master3-deleted", converges(MASTER3))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER3))


@_add("4", "leader-deleted", converges(MASTER1, MASTER2, MASTER3))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(mischief.leader(story.world)))


@_add("5", "deleted-CCM-cleaned", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    await asyncio.sleep(180)
    data = invariants.leading_data(story.world)
    assert data is not None
    assert len(data.members) == 2, "the cloud controller has not cleaned up"


@_add("6", "deleted-node-gone-member-stays", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    await mischief.election_over(story.world)
    await mischief.forget_node(story.world, MASTER1)


@_add("7", "deleted-member-gone-node-stays", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    await mischief.election_over(story.world)
    await mischief.remove_member(story.world, MASTER1)


@_add("8", "stale-node-terminating", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    await mischief.election_over(story.world)
    await mischief.stick_node(story.world, MASTER1)


@_add("9", "stale-node-password", converges(WORKER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(WORKER1))
    await mischief.forget_node(story.world, WORKER1)


@_add("10", "same-name-new-ip", refuses("server.by-hand"))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    mischief.make_server(story.world, MASTER1, mischief.master_labels())
    await mischief.servers_run(story.world)


@_add("11", "same-ip-new-name", converges(MASTER1))
async def _(story: Story) -> Run:
    """The dead master is known by its server's id; who has its address now is beyond the file, and left alone."""
    await story.happens(ServerDeleted(MASTER1))
    mischief.make_server(story.world, "prod-master9", mischief.master_labels())
    await mischief.servers_run(story.world)
    run = await story.create()
    assert any(note.startswith("prod-master9 is beyond the file") for note in run.notes), run.notes
    assert not story.world.host("prod-master9").units, "something was installed on it"
    await story.happens(ServerDeleted("prod-master9"))
    return run


@_add("12", "private-ip-reused-by-worker", converges(MASTER1))
async def _(story: Story) -> Run:
    """The dead master is known by its server's id: who has its address now is left alone."""
    address = next(iter(story.world.host(MASTER1).nics.values())).ip
    await story.happens(ServerDeleted(MASTER1))
    mischief.make_server(story.world, "somebodys-worker", {})
    await mischief.servers_run(story.world)
    stranger = story.world.host("somebodys-worker")
    assert address in stranger.addresses
    run = await story.create()
    assert not stranger.units, "something was installed on it"
    await story.happens(ServerDeleted("somebodys-worker"))
    return run


@_add("13", "public-ip-reused-foreign-host", refuses("host.key-changed"))
async def _(story: Story) -> None:
    mischief.another_machine_answers(story.world.host(MASTER2))


@_add("14", "rebuilt-in-place", recovers(MASTER1))
async def _(story: Story) -> None:
    await story.happens(Rebuilt(MASTER1))
    await asyncio.sleep(90)


@_add("15", "db-dir-deleted-tls-kept", recovers(MASTER1))
async def _(story: Story) -> None:
    await story.happens(DatabaseDeleted(MASTER1))


@_add("16", "powered-off-master", recovers(MASTER2))
async def _(story: Story) -> None:
    await story.happens(PoweredOff(MASTER2))


@_add("17", "powered-off-quorum-lost", recovers(MASTER1, MASTER2))
async def _(story: Story) -> None:
    await story.happens(PoweredOff(MASTER1), PoweredOff(MASTER2))


@_add("18", "ssh-timeout-survivors-fresh-reachable", refuses("masters.none-healthy"))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    await story.create(kill_at=8)
    await mischief.servers_run(story.world)
    await story.happens(SshSilent(MASTER2), SshSilent(MASTER3))


@_add("43", "single-master-off", recovers(MASTER1), spec=a_spec(1))
async def _(story: Story) -> None:
    await story.happens(PoweredOff(MASTER1))


@_add("44", "scale-1-3", converges(), spec=a_spec(1))
async def _(story: Story) -> None:
    story.wish(a_spec(3))


@_add("45", "scale-3-5", converges())
async def _(story: Story) -> None:
    story.wish(a_spec(5))


async def _left(story: Story, *names: str) -> Run:
    """Run without `--prune`: what is beyond the file is named and left, and the rest is up to date."""
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert run.told.forecast is not None
    told = [note.partition(" ")[0] for note in run.told.forecast.notes if "is beyond the file" in note]
    assert told == list(names), run.told.forecast.notes
    corrected = {"PointWorker", "MarkMember"}  # where one that is gone was named as the master to join through
    assert {verb for verb, _ in run.told.steps} - corrected == {"WriteKubeconfig"}, run.story()
    return run


PRUNE = Consents.of(Prune())


@_add("46", "scale-3-1", Told())
async def _(story: Story) -> Run:
    """One by one, with the leader moved off first; never a moment in which etcd does not answer."""
    story.wish(a_spec(1))
    await _left(story, MASTER2, MASTER3)
    await mischief.etcd(story.world).move_leader(_member_id(story, MASTER3))
    run = await story.create(consents=PRUNE)
    assert mischief.leader(story.world) == MASTER1, run.story()
    assert [target for verb, target in run.told.steps if verb == "RetireMember"] == [MASTER3, MASTER2], run.story()
    await story.is_pruned(MASTER2, MASTER3)
    return run


@_add("47", "scale-5-3-with-one-dead", Told(), spec=a_spec(5))
async def _(story: Story) -> Run:
    """The dead one goes first, although the one that lives has the lower number."""
    await story.happens(ServerDeleted("prod-master4"))
    story.wish(a_spec(3))
    await _left(story, "prod-master5", "prod-master4")
    run = await story.create(consents=PRUNE)
    gone = [target for verb, target in run.told.steps if verb in {"RetireMember", "RemoveMember"}]
    assert gone == ["prod-master4", "prod-master5"], run.story()
    await story.is_pruned("prod-master4", "prod-master5")
    return run


def _member_id(story: Story, name: str) -> int:
    data = story.world.host(name).disk.drive.data
    assert data is not None
    return data.member_id
