"""A CA that is rotated with `k3s certificate rotate-ca`: whole, half done, and with somebody away meanwhile.

docs/facts/k3s.md#ca-rotation. Nothing but the datastore changes until each master is restarted.
"""

from __future__ import annotations

import asyncio

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.model.consents import AcceptCa, Consents
from hetzner_k3s.model.errors import ExitCode

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2
from .scenario import Told, recovers
from .situation import Situations, said
from .story import Story
from .tool import Run

ROTATION = Situations("rotation")
_tell = ROTATION.tell


def _ca(story: Story, name: str = MASTER1) -> str:
    return tokens.ca_hash(story.world.host(name).disk.server_ca or b"")


def _pinned(story: Story, name: str) -> str | None:
    return story.world.host(name).disk.facts().config_token_ca


async def _accepted(story: Story) -> Run:
    """Do as the refusal says, and demand that the run after that has nothing left to do."""
    ca = _ca(story)
    run = await story.create(consents=Consents.of(AcceptCa(ca[:8])))
    assert run.code is ExitCode.CONVERGED, run.story()
    last = await story.create()
    assert last.code is ExitCode.CONVERGED, last.story()
    assert not last.writes, last.story()
    hosts = [story.world.host(server.name) for server in story.spec.servers()]
    assert {host.disk.facts().config_token_ca for host in hosts} == {ca}
    return last


@_tell("its-ca-is-rotated", Told())
async def _(story: Story) -> Run:
    """Its owner says so once; then every token pins the new CA, and a worker that is restarted comes back by itself."""
    await mischief.rotate_ca(story.world)
    refused = await story.refuses("identity.other")
    said(refused, "identity.other", f"--accept-ca {_ca(story)[:8]}")
    await _accepted(story)
    mischief.restart_worker(story.world, WORKER1)
    await asyncio.sleep(60)
    assert tokens.ca_hash(story.world.host(WORKER1).disk.agent_ca or b"") == _ca(story)
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not run.writes, run.story()
    return run


@_tell("its-ca-is-rotated-and-no-master-was-restarted", recovers())
async def _(story: Story) -> None:
    """Only the datastore knows of it: nothing is to be done, and nothing is refused."""
    before = _ca(story)
    await mischief.rotate_ca(story.world, restart=())
    assert _ca(story) == before
    assert not (await story.create()).writes


@_tell("half-the-masters-run-with-a-rotated-ca", Told())
async def _(story: Story) -> Run:
    """It is named and no split: whoever restarts the others as told goes on as after a whole rotation."""
    await mischief.rotate_ca(story.world, restart=(MASTER2,))
    assert _ca(story, MASTER2) != _ca(story)
    for consents in (Consents(), Consents.of(AcceptCa(_ca(story, MASTER2)[:8]))):
        run = await story.create(consents=consents)
        assert run.refused[0] == "identity.rotating", run.story()
        assert not run.writes, run.story()
    refused = await story.refuses("identity.rotating")
    said(refused, "identity.rotating", f"Restart k3s on {MASTER1}, then on {MASTER3}", "--accept-ca")
    for name in (MASTER1, MASTER3):
        await mischief.restart_master(story.world, name)
    said(await story.refuses("identity.other"), "identity.other", f"--accept-ca {_ca(story)[:8]}")
    return await _accepted(story)


@_tell("a-worker-was-restarted-after-a-rotation", Told())
async def _(story: Story) -> Run:
    """Its token pins the CA of before, so its agent waits for ever; with the new pin it is started anew."""
    await mischief.rotate_ca(story.world)
    before = _pinned(story, WORKER1)
    mischief.restart_worker(story.world, WORKER1)
    await asyncio.sleep(120)
    assert story.world.host(WORKER1).units[mischief.AGENT].facts().active == "activating"
    assert _pinned(story, WORKER1) == before != _ca(story)
    return await _accepted(story)


@_tell("a-master-is-lost-while-its-ca-is-rotated", Told())
async def _(story: Story) -> Run:
    """Those that are left are a majority with the new CA; accepted, they replace the lost one."""
    await mischief.rotate_ca(story.world)
    await story.happens(ServerDeleted(MASTER3))
    await mischief.election_over(story.world)
    said(await story.refuses("identity.other"), "identity.other", "--accept-ca")
    run = await story.create(consents=Consents.of(AcceptCa(_ca(story)[:8])))
    assert run.code is ExitCode.CONVERGED, run.story()
    assert _ca(story, MASTER3) == _ca(story)
    await asyncio.sleep(30)
    return await _accepted(story)


@_tell("a-master-was-away-while-its-ca-was-rotated", Told())
async def _(story: Story) -> Run:
    """Its disk holds the CA of before: no stranger, but a master that takes the new one over when it starts."""
    mischief.server_unit_stopped(story.world.host(MASTER3))
    await asyncio.sleep(60)
    await mischief.rotate_ca(story.world)
    assert _ca(story, MASTER3) != _ca(story)
    run = await story.create(consents=Consents.of(AcceptCa(_ca(story)[:8])))
    assert run.code is ExitCode.CONVERGED, run.story()
    assert _ca(story, MASTER3) == _ca(story)
    await asyncio.sleep(30)
    return await _accepted(story)


@_tell("its-ca-is-rotated-twice", Told())
async def _(story: Story) -> Run:
    """The second bundle holds the first one whole: a worker that was never restarted still is no stranger."""
    await mischief.rotate_ca(story.world)
    await _accepted(story)
    await mischief.rotate_ca(story.world)
    await _accepted(story)
    mischief.restart_worker(story.world, WORKER2)
    await asyncio.sleep(60)
    return await story.create()
