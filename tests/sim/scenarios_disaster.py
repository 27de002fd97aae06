"""Scenarios 32-35: quorum lost, and a cluster that meets its own past."""

from __future__ import annotations

import asyncio
import re

from hetzner_k3s.lab.simulated.faults import CutOff, PoweredOff, ServerDeleted, SshSilent
from hetzner_k3s.model.consents import Consents, Keep, ResetQuorumFrom
from hetzner_k3s.model.errors import ExitCode

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, MASTER3, a_spec
from .scenario import Collection, Told, refuses
from .story import Story, write_user_object
from .tool import Run

DISASTER = Collection()
_add = DISASTER.add

_MASTER4, _MASTER5 = "prod-master4", "prod-master5"


async def _reset(story: Story, name: str) -> Run:
    return await story.create(consents=Consents.of(ResetQuorumFrom(name)))


async def _is_reset(story: Story, run: Run, *changed: str) -> None:
    """Demand the cluster as it was, under one lineage; `changed` names what was lost or stopped on purpose."""
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not story.broken(*changed), f"{story.broken(*changed)}\n{run.story()}"
    assert not invariants.lineage_known(story.world, story.spec)
    assert not invariants.second_run(await story.create())


@_add("32", "two-of-three-deleted", Told())
async def _(story: Story) -> Run:
    """Without consent nothing is touched; with it the survivor's data goes on, three voters strong."""
    await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2))
    refused = await story.create()
    assert refused.refused == ("quorum.lost",), refused.story()
    assert refused.seconds < 15, "one election is waited for, not more"
    assert not refused.writes
    assert MASTER3 in refused.told.refusals[0].you_can
    run = await _reset(story, MASTER3)
    survivor = story.world.server(MASTER3)
    assert survivor is not None
    assert survivor.id == story.before.servers[MASTER3], "the survivor was replaced"
    assert [rescue.server for rescue in story.world.laptop.rescues] == [MASTER3]
    await _is_reset(story, run, MASTER1, MASTER2, MASTER3)
    return run


@_add("33", "reset-refused-other-alive", refuses("quorum.reset-unsafe"))
async def _(story: Story) -> Run:
    """The other one exists and answers nobody: it could come back."""
    await story.happens(ServerDeleted(MASTER1), CutOff(MASTER2), SshSilent(MASTER2))
    return await _reset(story, MASTER3)


@_add("33", "reset-refused-other-partitioned", Told())
async def _(story: Story) -> Run:
    """Two of three run and cannot reach one another; while they are watched, their network is mended."""
    await story.happens(ServerDeleted(MASTER1), CutOff(MASTER2))
    mended = asyncio.create_task(_mended(story))
    run = await _reset(story, MASTER3)
    await mended
    assert run.refused == ("consent.unfit",), run.story()
    assert not [host.name for host in story.world.site.hosts.values() if host.disk.held]
    assert not invariants.always(story.world, story.before)
    return run


async def _mended(story: Story) -> None:
    await asyncio.sleep(15)
    await story.heals(CutOff(MASTER2))


@_add("34", "reset-lower-index-survivor", Told(), spec=a_spec(5))
async def _(story: Story) -> Run:
    """One survivor missed the last writes: naming it is refused, naming the other loses nothing."""
    await story.happens(CutOff(_MASTER4))
    await mischief.election_over(story.world)
    await write_user_object(story, "written-while-master4-was-away")
    await story.happens(*(ServerDeleted(f"prod-master{index}") for index in (1, 2, 3)))
    await story.heals(CutOff(_MASTER4))
    behind = await _reset(story, _MASTER4)
    assert behind.refused == ("quorum.reset-behind",), behind.story()
    told = behind.told.refusals[0].saw
    assert told.count("its log ends at term") == 2, told
    assert not invariants.always(story.world, story.before)
    run = await _reset(story, _MASTER5)
    await _is_reset(story, run, *story.spec.master_names)
    return run


@_add("35", "former-member-returns-after-reset", Told())
async def _(story: Story) -> Run:
    """Two masters are off, the third is reset by hand; then the old ones return, one after the other."""
    await story.happens(PoweredOff(MASTER1), PoweredOff(MASTER2))
    survivor = story.world.host(MASTER3)
    await mischief.reset_by_hand(story.world, survivor)
    await story.heals(PoweredOff(MASTER1))
    await asyncio.sleep(60)
    refused = await story.create()
    assert "master.former" in refused.refused, refused.story()
    assert not refused.writes
    assert not invariants.always(story.world, story.before), "the past lives again"
    await story.heals(PoweredOff(MASTER2))
    await asyncio.sleep(60)
    return await _kept(story, MASTER1, MASTER2)


async def _kept(story: Story, *fenced: str, side: str | None = None) -> Run:
    """Keep a side by the digits that the refusal shows, and demand that the others were fenced, copied off, and joined.

    `side` is one of its masters; without it, the first side that is offered.
    """
    refused = await story.create()
    assert refused.code is ExitCode.REFUSED, refused.story()
    offered = re.findall(r"--keep (\w{8})` keeps ([\w, -]+\d)", " ".join(r.you_can for r in refused.told.refusals))
    digits = next(digits for digits, names in offered if side is None or side in names)
    run = await story.create(consents=Consents.of(Keep(digits)))
    assert run.code is ExitCode.CONVERGED, run.story()
    assert {rescue.server for rescue in story.world.laptop.rescues} == set(fenced)
    assert all(story.world.host(name).disk.fenced for name in fenced), "their data was not kept on their disks"
    restarted = story.broken(*story.spec.master_names)
    assert not restarted, f"{restarted}\n{run.story()}"
    servers = {s.name: s.id for s in story.world.project.servers.values() if s.name in story.before.servers}
    assert servers == story.before.servers, "a server was replaced"
    assert not invariants.second_run(await story.create())
    return run


@_add("49", "split-brain-two-CAs", Told())
async def _(story: Story) -> Run:
    """A third of the masters was begun anew by hand; the two others go on and are kept."""
    await mischief.second_cluster(story.world, MASTER3, keep_tls=False)
    return await _kept(story, MASTER3)


@_add("49", "split-brain-two-CAs-the-first-master-joins-the-others", Told())
async def _(story: Story) -> Run:
    """Its API is asked in the run that lets it join, with the CA of before and then with the one it has now."""
    await mischief.second_cluster(story.world, MASTER1, keep_tls=False)
    return await _kept(story, MASTER1, side=MASTER2)


@_add("50", "split-brain-equal-etcd-cluster-id", Told())
async def _(story: Story) -> Run:
    """The first master is born again on its address with its TLS files: same CA, same etcd cluster id, other UID."""
    first = story.begun_on
    host = await mischief.second_cluster(story.world, first, keep_tls=True)
    assert host.disk.drive.data is not None
    assert host.disk.drive.data.cluster_id == story.before.cluster_id
    await asyncio.sleep(30)  # the two others have a leader again
    return await _kept(story, first)


async def _reset_in_a_partition(story: Story) -> None:
    """One master is reset while it is cut off from the two others, which go on; then the network is whole again."""
    host = story.world.host(MASTER3)
    await story.happens(CutOff(MASTER3))
    mischief.without_server_line(host)
    await mischief.reset_by_hand(story.world, host)


@_add("51", "split-brain-same-CA", Told())
async def _(story: Story) -> Run:
    """The two that go on are kept."""
    await _reset_in_a_partition(story)
    refused = await story.create()
    assert refused.refused == ("identity.two-lists",), refused.story()
    return await _kept_in_a_partition(story, MASTER3, side=MASTER1)


@_add("51", "split-brain-same-CA-the-one-that-was-reset-is-kept", Told())
async def _(story: Story) -> Run:
    """The one that was reset is kept."""
    await _reset_in_a_partition(story)
    return await _kept_in_a_partition(story, MASTER1, MASTER2, side=MASTER3)


async def _kept_in_a_partition(story: Story, *fenced: str, side: str) -> Run:
    """Keep a side, and heal the network when everything of the other one was fenced: nobody joins in a partition."""

    async def heal() -> None:
        await mischief.fenced(story.world, fenced)
        await story.heals(CutOff(MASTER3))

    healing = asyncio.ensure_future(heal())
    run = await _kept(story, *fenced, side=side)
    await healing
    return run
