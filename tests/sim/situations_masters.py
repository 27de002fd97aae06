"""Masters that are there and not well, and members whose machine nobody finds."""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import Frozen, Rebuilt, ServerDeleted
from hetzner_k3s.model.consents import Consents, Replace
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.host import STEADY_AFTER
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.report import Health

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, a_spec
from .scenario import converges, recovers
from .situation import Situations, said
from .story import Story
from .test_status import status
from .tool import Run

MASTERS = Situations("masters")
_tell = MASTERS.tell


def _replacing(name: str) -> Consents:
    return Consents.of(Replace(name))


@_tell("one-answers-nobody-and-is-discarded", converges(MASTER2))
async def _(story: Story) -> Run:
    """Silence is not death: only its user can say that what it holds may go."""
    await story.happens(Frozen(MASTER2))
    await asyncio.sleep(60)
    said(await story.refuses("master.unreachable"), "master.unreachable", f"--replace {MASTER2}")
    return await story.create(consents=_replacing(MASTER2))


@_tell("one-answers-nobody-and-is-found-again", recovers(MASTER2))
async def _(story: Story) -> None:
    await story.happens(Frozen(MASTER2))
    await asyncio.sleep(60)
    said(await story.refuses("master.unreachable"), "master.unreachable", "Restore SSH access to it")
    await story.heals(Frozen(MASTER2))
    await asyncio.sleep(60)


@_tell("k3s-on-one-ended-a-moment-ago-and-runs-again", converges())
async def _(story: Story) -> Run:
    """Nobody knows yet whether it stays up, so nothing is called well before that; a restart long ago is no harm."""
    mischief.k3s_ends(story.world.host(MASTER2))
    await asyncio.sleep(40)
    assert (await status(story)).health is Health.DEGRADED
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not run.writes, "looking on needs no lock"
    unit = story.world.host(MASTER2).units[K3sRole.SERVER].facts()
    assert unit.restarts == 1
    assert unit.running_for is not None
    assert unit.running_for >= STEADY_AFTER
    assert (await status(story)).health is Health.HEALTHY
    return await story.create()


@_tell("k3s-on-one-ends-at-each-start-two-seconds-after-ready", converges())
async def _(story: Story) -> None:
    """It is active in between, and so is its etcd: only time tells."""
    right = await mischief.move_node(story.world, MASTER2, "10.0.9.9")
    mischief.k3s_ends(story.world.host(MASTER2))
    await asyncio.sleep(300)
    assert story.world.host(MASTER2).units[K3sRole.SERVER].facts().restarts > 5
    for _ in range(4):
        await asyncio.sleep(7)
        assert (await status(story)).health is not Health.HEALTHY
    run = await story.create()
    assert run.code is not ExitCode.CONVERGED, run.story()
    await mischief.move_node(story.world, MASTER2, right)
    await asyncio.sleep(60)


@_tell("one-is-rebuilt-and-its-node-is-gone", converges(MASTER1))
async def _(story: Story) -> Run:
    """Without the Node nobody knows whether the rebuild came after it registered, and anybody can have its boot key."""
    await story.happens(Rebuilt(MASTER1))
    await mischief.election_over(story.world)
    await mischief.forget_node(story.world, MASTER1)
    said(await story.refuses("master.rebuilt"), "master.rebuilt", f"--replace {MASTER1}")
    return await story.create(consents=_replacing(MASTER1))


@_tell("k3s-is-stopped-on-one", recovers(MASTER2))
async def _(story: Story) -> Run:
    """It is started, and no other one."""
    mischief.server_unit_stopped(story.world.host(MASTER2))
    run = await story.create()
    assert ("StartMaster", MASTER2) in run.told.steps, run.story()
    return run


@_tell("another-server-has-the-address-of-a-lost-one-without-a-node", converges(MASTER1))
async def _(story: Story) -> None:
    """Without its Node nobody knows by its id that the machine is gone; once the other one left the network, it is."""
    await story.happens(ServerDeleted(MASTER1))
    await mischief.election_over(story.world)
    await mischief.forget_node(story.world, MASTER1)
    mischief.make_server(story.world, "somebodys-database", {})
    await mischief.servers_run(story.world)
    refused = await story.refuses("member.unexplained")
    said(refused, "member.unexplained", "another server that has its address now can leave the network")
    stranger = story.world.server("somebodys-database")
    assert stranger is not None
    network = next(iter(story.world.project.networks))
    path = f"/servers/{stranger.id}/actions/detach_from_network"
    host = story.world.host(stranger.name)
    await faults.insist(story.world, "POST", path, lambda: not host.nics, f'{{"network": {network}}}'.encode())
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    await story.happens(ServerDeleted("somebodys-database"))


@_tell("a-learner-that-was-begun-by-hand", converges())
async def _(story: Story) -> None:
    """Somebody began to make a master of a worker by hand, and left it at that."""
    await mischief.add_learner(story.world, next(iter(story.world.host(WORKER1).addresses)))
    said(await story.refuses("member.unexplained"), "member.unexplained", "remove the member")
    member = next(m for m in await mischief.etcd(story.world).members() if not m.name)
    await mischief.etcd(story.world).remove(member.id)


@_tell("another-one-is-lost-while-one-joins", converges(MASTER2, MASTER3), spec=a_spec(5))
async def _(story: Story) -> None:
    """Nothing is removed beside a learner; when it votes, the next one's turn comes."""
    await story.happens(ServerDeleted(MASTER2))
    in_time = story.world.site.peers.catch_up
    story.world.site.peers.catch_up = lambda _: (90.0, 90.0)
    await story.create(kill_at=f"after StartK3s on {MASTER2}")
    await faults.until(lambda: any(m.learner for m in mischief.etcd(story.world).data.members.values()), "a learner")
    await story.happens(ServerDeleted(MASTER3))
    refused = await story.refuses("member.removal-unsafe")
    said(refused, "member.removal-unsafe", "Wait until the other masters are healthy voters")
    story.world.site.peers.catch_up = in_time
    await asyncio.sleep(120)
