"""Quorum resets that meet damage, and masters whose disks are put back from an earlier life of the cluster."""

from __future__ import annotations

import asyncio
import copy
import re

from hetzner_k3s.lab.simulated.faults import DatabaseDeleted, ServerDeleted
from hetzner_k3s.lab.simulated.hosts.disk import Disk
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.model.consents import Consents, Keep, ResetQuorumFrom
from hetzner_k3s.model.errors import ExitCode

from . import invariants
from .clusters import MASTER1, MASTER2, MASTER3, a_spec
from .scenario import Told
from .situation import Situations, said
from .story import Story
from .tool import Run

DISASTER = Situations("disaster")
_tell = DISASTER.tell

_MASTER4, _MASTER5 = "prod-master4", "prod-master5"


async def _reset(story: Story, name: str) -> Run:
    return await story.create(consents=Consents.of(ResetQuorumFrom(name)))


async def _is_reset(story: Story, run: Run) -> None:
    """Demand the cluster as it was, under one lineage."""
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not story.broken(*story.spec.master_names), f"{story.broken(*story.spec.master_names)}\n{run.story()}"
    assert not invariants.lineage_known(story.world, story.spec)
    assert not invariants.second_run(await story.create())


@_tell("a-log-cannot-be-read", Told(), spec=a_spec(5))
async def _(story: Story) -> Run:
    """Nobody knows whose data is the newest; when the damaged one is deleted, the other one is all there is."""
    story.world.host(_MASTER4).disk.log_damaged = True
    await story.happens(*(ServerDeleted(name) for name in (MASTER1, MASTER2, MASTER3)))
    refused = await _reset(story, _MASTER5)
    assert refused.refused == ("quorum.log-unreadable",), refused.story()
    said(refused, "quorum.log-unreadable", "delete the server at Hetzner and run the same command again")
    assert not invariants.always(story.world, story.before)
    await story.happens(ServerDeleted(_MASTER4))
    run = await _reset(story, _MASTER5)
    await _is_reset(story, run)
    return run


@_tell("one-of-the-lost-has-lost-its-database-alone", Told())
async def _(story: Story) -> Run:
    """Its server stays, and nothing that its labels say of its old data keeps it from joining the new lineage."""
    await story.happens(ServerDeleted(MASTER2), DatabaseDeleted(MASTER1))
    await asyncio.sleep(60)
    run = await _reset(story, MASTER3)
    await _is_reset(story, run)
    server = story.world.server(MASTER1)
    assert server is not None
    assert server.id == story.before.servers[MASTER1]
    return run


def _image(host: Host) -> Disk:
    """Take an image of a disk, as a Hetzner snapshot of a server does."""
    return copy.deepcopy(host.disk)


async def _put_back(story: Story, name: str, image: Disk) -> None:
    """Rebuild a server from its own image: it comes up as what it was then."""
    host = story.world.host(name)
    host.power_off()
    host.disk = image
    host.units.clear()
    host.power_on()
    await asyncio.sleep(90)


async def _meets_an_image_of_its_past(story: Story) -> Run:
    """Reset twice, from two masters; then the first one's disk is put back as it was after its own reset."""
    await story.happens(ServerDeleted(MASTER2), ServerDeleted(MASTER3))
    await _is_reset(story, await _reset(story, MASTER1))
    image = _image(story.world.host(MASTER1))
    await story.happens(ServerDeleted(MASTER2), DatabaseDeleted(MASTER1))
    await asyncio.sleep(60)
    await _is_reset(story, await _reset(story, MASTER3))
    await _put_back(story, MASTER1, image)
    refused = await story.create()
    assert refused.code is ExitCode.REFUSED, refused.story()
    assert "master.past" in refused.refused, refused.story()
    assert not refused.writes
    assert not invariants.always(story.world, story.before), "the past lives again"
    return refused


@_tell("a-master-is-put-back-from-an-image-of-the-past", Told())
async def _(story: Story) -> Run:
    """It is of an earlier lineage: fenced with its owner's word, it joins anew."""
    refused = await _meets_an_image_of_its_past(story)
    digits = re.search(r"--keep (\w{8})", said(refused, "master.past").you_can)
    assert digits is not None
    run = await story.create(consents=Consents.of(Keep(digits.group(1))))
    await _is_reset(story, run)
    return run


@_tell("a-master-is-put-back-from-an-image-of-the-past-and-deleted", Told())
async def _(story: Story) -> Run:
    said(await _meets_an_image_of_its_past(story), "master.past", "delete the server at Hetzner")
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    await _is_reset(story, run)
    return run
