"""What is beyond the file: in the way, protected, not well, and let go with its pods moved off it first."""

from __future__ import annotations

import json

from hetzner_k3s.lab.k3s.api import patch
from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model.errors import ExitCode

from . import mischief, workloads
from .clusters import MASTER1, MASTER3, WORKER1, WORKER2, a_spec
from .scenario import Told, converges
from .situation import PRUNE, Situations, pruned, said
from .story import Story
from .tool import Run

SCALE = Situations("scale")
_tell = SCALE.tell

_MASTER4, _MASTER5 = "prod-master4", "prod-master5"


@_tell("workers-beyond-the-file-go-and-the-others-stay", pruned(WORKER2))
async def _(story: Story) -> Run:
    """Only with consent, with their pods moved off first; what belongs to the Node itself is left on it."""
    for name, node, controller in (("web-1", WORKER1, "ReplicaSet"), ("web-2", WORKER2, "ReplicaSet")):
        await workloads.pod(story.world, name, node, controller)
    await workloads.pod(story.world, "agent-2", WORKER2, "DaemonSet")
    await workloads.pod(story.world, "static-2", WORKER2, None, mirror=True)
    story.wish(a_spec(workers=1))
    left = await story.create()
    assert left.code is ExitCode.CONVERGED
    assert story.world.server(WORKER2) is not None
    run = await story.create(consents=PRUNE)
    steps = [verb for verb, target in run.told.steps if target == WORKER2]
    assert steps == ["CordonNode", "DrainNode", "DeleteNode", "DeleteServer"], run.story()
    assert await workloads.pods(story.world) == ["agent-2", "static-2", "web-1"]
    return run


@_tell("a-master-half-gone-is-wanted-again", converges(), spec=a_spec(3))
async def _(story: Story) -> Run:
    """An unfinished --prune is named, and taken back when the file names the master again."""
    story.wish(a_spec(1))
    killed = await story.create(consents=PRUNE, kill_at=f"before RetireMember on {MASTER1}")
    assert killed.code is None, killed.story()
    left = await story.create()
    assert left.code is ExitCode.CONVERGED, left.story()
    assert left.notes[-1] == (
        f"{MASTER3} is beyond the file and is left as it is: a healthy voter; an unfinished --prune left it taken "
        "off the API load balancer and cordoned: run it again to let it go"
    )
    story.wish(a_spec(3))
    run = await story.create()
    steps = [step for step in run.told.steps if step[1] == MASTER3]
    assert steps == [("UncordonNode", MASTER3), ("MarkMember", MASTER3)], run.story()
    return run


async def _one_of_each_is_lost(story: Story) -> None:
    """Lose a master of the file and one beyond it: etcd takes nobody while the latter's dead member is listed."""
    story.wish(a_spec(3))
    await story.happens(ServerDeleted(_MASTER4), ServerDeleted(MASTER1))
    await mischief.election_over(story.world)
    refused = await story.refuses("surplus.in-the-way")
    said(refused, "surplus.in-the-way", "create --prune", "Raise masters_pool.instance_count again")


@_tell("a-dead-one-beyond-the-file-is-in-the-way-and-goes", pruned(_MASTER4, _MASTER5, lost=(MASTER1,)), spec=a_spec(5))
async def _(story: Story) -> Run:
    await _one_of_each_is_lost(story)
    return await story.create(consents=PRUNE)


@_tell("a-dead-one-beyond-the-file-is-wanted-again", converges(MASTER1, _MASTER4), spec=a_spec(5))
async def _(story: Story) -> None:
    await _one_of_each_is_lost(story)
    story.wish(a_spec(5))


async def _protect(story: Story, name: str, *, protected: bool) -> None:
    server = story.world.server(name)
    assert server is not None
    body = json.dumps({"delete": protected, "rebuild": protected}).encode()
    path = f"/servers/{server.id}/actions/change_protection"
    await faults.insist(story.world, "POST", path, lambda: server.delete_protected == protected, body)


@_tell("one-beyond-the-file-is-protected", pruned(_MASTER4, _MASTER5), spec=a_spec(5))
async def _(story: Story) -> Run:
    """Nothing is begun that Hetzner would refuse to end."""
    story.wish(a_spec(3))
    await _protect(story, _MASTER5, protected=True)
    said(await story.refuses("surplus.protected", consents=PRUNE), "surplus.protected", "Lift the protection")
    await _protect(story, _MASTER5, protected=False)
    return await story.create(consents=PRUNE)


@_tell("one-beyond-the-file-is-protected-and-stays", Told(), spec=a_spec(5))
async def _(story: Story) -> Run:
    story.wish(a_spec(3))
    await _protect(story, _MASTER5, protected=True)
    said(await story.refuses("surplus.protected", consents=PRUNE), "surplus.protected", "leave the flag away")
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert story.world.server(_MASTER5) is not None
    return run


@_tell("a-load-balancer-beyond-the-file-goes", converges(), spec=a_spec(load_balancer=True))
async def _(story: Story) -> Run:
    """Named without consent; with it, it goes once the kubeconfig does not name it any more."""
    story.wish(a_spec())
    left = await story.create()
    assert left.code is ExitCode.CONVERGED, left.story()
    assert left.notes == ("load balancer prod-api is beyond the file and is left as it is",)
    run = await story.create(consents=PRUNE)
    assert run.told.steps == [("DeleteResource load_balancer", "prod-api")], run.story()
    return run


async def _one_is_stopped(story: Story) -> None:
    story.wish(a_spec(3))
    first = story.world.host(MASTER1).disk.drive.data
    assert first is not None
    await mischief.etcd(story.world).move_leader(first.member_id)
    mischief.server_unit_stopped(story.world.host(_MASTER4))
    refused = await story.create(consents=PRUNE)
    assert set(refused.refused) == {"surplus.unwell"}, refused.story()
    assert not refused.writes
    said(refused, "surplus.unwell", "Bring it back", "delete the server at Hetzner")


@_tell("one-beyond-the-file-is-not-well-and-brought-back", pruned(_MASTER4, _MASTER5), spec=a_spec(5))
async def _(story: Story) -> Run:
    """None is let go before it votes again: it counts in the quorum."""
    await _one_is_stopped(story)
    mischief.start(story.world.host(_MASTER4))
    return await story.create(consents=PRUNE)


@_tell("one-beyond-the-file-is-not-well-and-given-up", pruned(_MASTER4, _MASTER5), spec=a_spec(5))
async def _(story: Story) -> Run:
    await _one_is_stopped(story)
    await story.happens(ServerDeleted(_MASTER4))
    return await story.create(consents=PRUNE)


async def _prune_stops_at(story: Story, moment: str) -> None:
    """Let a --prune of the second worker be killed at a moment."""
    story.wish(a_spec(workers=1))
    killed = await story.create(consents=PRUNE, kill_at=moment)
    assert killed.code is None, killed.story()


async def _is_not_deleted(story: Story) -> None:
    """Demand that --prune names the claim, and leaves the server that has its volume."""
    run = await story.create(consents=PRUNE)
    assert run.code is ExitCode.FAILED, run.story()
    assert "holds the only copy of the volumes of these claims: default/data-web-0" in str(run.error), run.story()
    assert story.world.server(WORKER2) is not None


@_tell("a-volume-lands-on-a-node-that-was-drained", pruned(WORKER2))
async def _(story: Story) -> Run:
    """What was empty an hour ago is looked at again before it goes."""
    await _prune_stops_at(story, f"before DELETE /api/v1/nodes/{WORKER2}")
    await workloads.local_volume(story.world, WORKER2)
    await _is_not_deleted(story)
    await workloads.without_volume(story.world)
    return await story.create(consents=PRUNE)


@_tell("a-volume-lands-on-a-node-that-was-uncordoned", pruned(WORKER2))
async def _(story: Story) -> Run:
    await _prune_stops_at(story, f"before DELETE /api/v1/nodes/{WORKER2}")
    uncordoned = {"spec": {"unschedulable": None}}
    await mischief.store(story.world).change(NODES, WORKER2, "", lambda old: patch.merge(old, uncordoned))
    await workloads.local_volume(story.world, WORKER2)
    await workloads.pod(story.world, "web-2", WORKER2)
    await _is_not_deleted(story)
    assert "web-2" in await workloads.pods(story.world)
    await workloads.without_volume(story.world)
    return await story.create(consents=PRUNE)


@_tell("a-volume-is-found-when-its-node-is-gone", pruned(WORKER2))
async def _(story: Story) -> Run:
    """Killed between Node and server: the disk still has the data."""
    await _prune_stops_at(story, f"after DELETE /api/v1/nodes/{WORKER2}")
    await workloads.local_volume(story.world, WORKER2)
    await _is_not_deleted(story)
    await workloads.without_volume(story.world)
    return await story.create(consents=PRUNE)


@_tell("a-volume-is-bound-by-another-label", pruned(WORKER2))
async def _(story: Story) -> Run:
    """A label that this Node alone has binds as its name does."""
    labelled = {"metadata": {"labels": {"topology.example.com/rack": "7"}}}
    await mischief.store(story.world).change(NODES, WORKER2, "", lambda old: patch.merge(old, labelled))
    await workloads.local_volume(story.world, "7", key="topology.example.com/rack")
    story.wish(a_spec(workers=1))
    await _is_not_deleted(story)
    await workloads.without_volume(story.world)
    return await story.create(consents=PRUNE)
