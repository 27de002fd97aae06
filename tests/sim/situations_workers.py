"""Workers that are there and not well: what is stopped is started, and nothing replaced behind their owner's back."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hetzner_k3s.lab.simulated.faults import AnswersGarbled, CutOff, Rebuilt, ServerDeleted, SshDenied, SshSilent
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.spec import Label

from . import mischief
from .clusters import MASTER1, WORKER1, a_spec, with_s3
from .scenario import Told, converges, recovers
from .scenarios_restore import LATEST, Restored, lose_all, snapshot_now, workers_go_on
from .situation import Situations, rename, said
from .story import Story
from .tool import Run

WORKERS = Situations("workers")
_tell = WORKERS.tell


@_tell("one-answers-no-ssh", recovers())
async def _(story: Story) -> None:
    await story.happens(SshSilent(WORKER1))
    said(await story.refuses("worker.unreachable"), "worker.unreachable", "Restore SSH access to it")
    await story.heals(SshSilent(WORKER1))


@_tell("one-answers-no-ssh-and-is-given-up", converges(WORKER1))
async def _(story: Story) -> None:
    await story.happens(SshSilent(WORKER1))
    said(await story.refuses("worker.unreachable"), "worker.unreachable", "delete the server at Hetzner")
    await story.happens(ServerDeleted(WORKER1))


@_tell("one-refuses-our-key", recovers())
async def _(story: Story) -> None:
    await story.happens(SshDenied(WORKER1))
    said(await story.refuses("worker.denied"), "worker.denied", "in again (authorized_keys of root)")
    await story.heals(SshDenied(WORKER1))


@_tell("one-answers-what-nobody-can-read", converges(MASTER1))
async def _(story: Story) -> None:
    """It is not known how that one is, and why; every other host is still looked at, and repaired."""
    await story.happens(AnswersGarbled(WORKER1))
    run = await story.refuses("worker.unreachable")
    refusal = said(run, "worker.unreachable", "SSH works, so look", "delete the server at Hetzner")
    assert "it lets this machine in, but Probe failed: unreadable answer" in refusal.saw
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("worker.unreachable",), run.story()
    assert story.world.server(MASTER1) is not None
    await story.heals(AnswersGarbled(WORKER1))


@_tell("another-machine-answers-for-one", recovers())
async def _(story: Story) -> None:
    host = story.world.host(WORKER1)
    key = host.disk.host_key
    mischief.another_machine_answers(host)
    said(await story.refuses("worker.key-changed"), "worker.key-changed", "give it its old host key back")
    host.disk.host_key = key


@_tell("one-is-rebuilt", converges(WORKER1))
async def _(story: Story) -> None:
    await story.happens(Rebuilt(WORKER1))
    said(await story.refuses("worker.rebuilt"), "worker.rebuilt", "delete the server at Hetzner")
    await story.happens(ServerDeleted(WORKER1))


@_tell("one-is-rebuilt-and-is-to-stay", Told())
async def _(story: Story) -> Run:
    """Renamed, and its Node deleted, it is left alone, and another one is made in its place."""
    await story.happens(Rebuilt(WORKER1))
    said(await story.refuses("worker.rebuilt"), "worker.rebuilt", "rename it", f"kubectl delete node {WORKER1}")
    rename(story, "servers", WORKER1, "keep-me")
    await mischief.delete_node(story.world, WORKER1)
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    kept = story.world.server("keep-me")
    assert kept is not None
    assert kept.id == story.before.servers[WORKER1]
    await story.happens(ServerDeleted("keep-me"))
    await story.is_converged(WORKER1)
    return run


@_tell("the-agent-of-one-is-stopped", recovers(WORKER1))
async def _(story: Story) -> Run:
    """It is started, no other one, and its pods go on."""
    story.world.host(WORKER1).units[K3sRole.AGENT].stop()
    await asyncio.sleep(120)
    run = await story.create()
    assert run.told.steps == [("StartWorker", WORKER1)], run.story()
    return run


@_tell("the-agent-of-one-is-stopped-and-a-master-is-lost", converges(MASTER1, WORKER1))
async def _(story: Story) -> Run:
    """The agent had joined through that master, and finds the others by what it has learned."""
    await story.happens(ServerDeleted(MASTER1))
    story.world.host(WORKER1).units[K3sRole.AGENT].stop()
    await asyncio.sleep(120)
    run = await story.create()
    assert ("StartWorker", WORKER1) in run.told.steps, run.story()
    return run


@_tell("the-agent-of-one-runs-and-its-node-is-silent", recovers())
async def _(story: Story) -> None:
    """Nobody knows from here what ails it."""
    await story.happens(CutOff(WORKER1))
    await asyncio.sleep(120)
    said(await story.refuses("worker.not-ready"), "worker.not-ready", "journalctl -u k3s-agent")
    await story.heals(CutOff(WORKER1))
    await asyncio.sleep(60)


@_tell("one-has-another-name", recovers())
async def _(story: Story) -> None:
    """Its Node is of a machine that lives: another one under its name would be taken for it."""
    rename(story, "servers", WORKER1, "keep-me")
    said(await story.refuses("node.unexplained"), "node.unexplained", "Give that server its old name back")
    rename(story, "servers", "keep-me", WORKER1)


@_tell("they-get-a-label-that-the-file-got", converges())
async def _(story: Story) -> Run:
    pool = story.spec.pools[0]
    labelled = tuple(replace(worker, labels=(Label(key="tier", value="web"),)) for worker in pool.workers)
    story.wish(replace(story.spec, pools=(replace(pool, workers=labelled),)))
    run = await story.create()
    assert {verb for verb, _ in run.told.steps} == {"LabelNode"}, run.story()
    return run


@_tell("all-masters-have-another-address", Told(), spec=with_s3(a_spec(1)))
async def _(story: Story) -> Run:
    """The agents know none that lives: each is pointed to one, and goes on."""
    snapshot_now(story)
    await lose_all(story, MASTER1)
    mischief.make_server(story.world, "somebodys-database", {})
    await mischief.servers_run(story.world)
    run = await story.create(consents=LATEST)
    assert run.code is ExitCode.CONVERGED, run.story()
    assert ("ReconnectWorker", WORKER1) in run.told.steps, run.story()
    await story.happens(ServerDeleted("somebodys-database"))
    await Restored((MASTER1,)).check(story, run)
    assert workers_go_on(story)
    return run
