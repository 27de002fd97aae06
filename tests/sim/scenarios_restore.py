"""Scenarios 36-42: all masters are lost, and what lies in S3 is all that is left of the data."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from hetzner_k3s.lab.k3s.api.resources import CONFIGMAPS, NODES
from hetzner_k3s.lab.k3s.node import node_object
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import AddressReused, ServerDeleted
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.k3s import saving
from hetzner_k3s.model.consents import Consents, Restore
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, mischief, tokens_at_hand
from .clusters import CLUSTER, MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec, with_s3
from .scenario import Collection, Told, refuses
from .story import Story
from .tool import Run

RESTORE = Collection()
_add = RESTORE.add

MASTERS = (MASTER1, MASTER2, MASTER3)
LATEST = Consents.of(Restore("latest"))


def snapshot_now(story: Story) -> str:
    """Have the leading master save a snapshot, as its schedule does every hour; gives its name."""
    server = mischief.leading(story.world)
    flags = config_file.flags("server", server.disk.config)
    return saving.save(server, flags, saving.SCHEDULED).name


async def write_later(story: Story) -> None:
    """Write something that no snapshot has."""
    body = {"metadata": {"name": "too-late"}, "data": {"text": "lost with the masters"}}
    await mischief.store(story.world).create(CONFIGMAPS, body, "default")


async def lose_all_addresses(story: Story, *masters: str) -> None:
    """Delete every master at Hetzner, and let servers of somebody else take their private addresses."""
    before = {address for master in masters or MASTERS for address in story.world.host(master).addresses}
    await story.happens(*(AddressReused(master) for master in masters or MASTERS))
    taken = {nic.ip for host in story.world.site.hosts.values() for nic in host.nics.values()}
    assert before & taken, "their addresses are free"


async def others_leave(story: Story) -> None:
    """Delete the servers that took the lost masters' addresses."""
    await story.heals(*(AddressReused(master) for master in MASTERS))


async def lose_all(story: Story, *masters: str) -> None:
    """Delete every master at Hetzner."""
    await story.happens(*(ServerDeleted(master) for master in masters or MASTERS))


@dataclass(frozen=True)
class Restored:
    """The cluster is up to date, with the data of the snapshot, its workers never made anew."""

    masters: tuple[str, ...] = MASTERS

    async def check(self, story: Story, run: Run) -> None:
        """Demand it."""
        assert run.code is ExitCode.CONVERGED, run.story()
        restored_picture(story)
        await story.is_converged(*self.masters)
        assert workers_go_on(story), "a worker was made anew"
        await k3s_stays_up(story, *self.masters)


async def k3s_stays_up(story: Story, *masters: str) -> None:
    """Demand that no restored or joined k3s ends and begins again, and that each Node says where its master is."""
    await asyncio.sleep(60.0)
    nodes, _ = await mischief.store(story.world).list(NODES)
    found = {each["metadata"]["name"]: each for each in nodes}
    for master in masters:
        host = story.world.host(master)
        assert host.units[K3sRole.SERVER].facts().restarts == 0, list(host.journal)[-5:]
        assert node_object.internal_ip(found[master]) in host.addresses
        assert found[master]["spec"].get("providerID") in {None, f"hcloud://{host.server_id}"}


def restored_picture(story: Story) -> None:
    """Let a new etcd cluster id, a lower revision and an agent's restart count as they are: a restore has them."""
    data = invariants.leading_data(story.world)
    assert data is not None
    starts = {h.server_id: sum(u.starts for u in h.units.values()) for h in story.world.site.hosts.values()}
    story.before = replace(story.before, revision=0, cluster_id=data.cluster_id, starts=starts)


def workers_go_on(story: Story) -> bool:
    """Tell whether the workers are the servers that they were."""
    now = {s.name: s.id for s in story.world.project.servers.values()}
    return all(now.get(name) == story.before.servers.get(name) for name in (WORKER1, WORKER2))


@_add("36", "all-deleted-snapshot-token-on-worker", Restored(), spec=with_s3())
async def _(story: Story) -> Run:
    """A cluster from before there were agent tokens: its workers hold the one that opens the snapshot."""
    await tokens_at_hand.born_without_agent_token(story.world)
    snapshot_now(story)
    await write_later(story)
    await lose_all(story)
    asked = await story.create()
    assert asked.refused == ("restore.consent",), asked.story()
    assert not asked.writes
    assert "--restore latest" in asked.told.refusals[0].you_can
    return await story.create(consents=LATEST)


@_add("37", "all-deleted-snapshot-no-token", refuses("restore.no-token"), spec=with_s3(a_spec(workers=0)))
async def _(story: Story) -> Run:
    token_hash = tokens.short_hash(tokens.parse(story.world.host(MASTER1).disk.token or "").password)
    snapshot_now(story)
    await lose_all(story)
    tokens_at_hand.laptop_lost(story.world)
    run = await story.create(consents=LATEST)
    assert token_hash in run.told.refusals[0].saw
    return run


@_add("38", "all-deleted-snapshot-of-other-cluster-same-bucket", refuses("masters.all-lost"), spec=with_s3())
async def _(story: Story) -> Run:
    snapshot_now(story)
    bucket = story.world.site.bucket
    for key, stored in list(bucket.objects.items()):
        bucket.objects[key] = replace(stored, entry=replace(stored.entry, cluster_uid="of-another-cluster"))
    await lose_all(story)
    run = await story.create(consents=LATEST)
    assert "1 snapshot of other clusters" in run.told.refusals[0].saw, run.story()
    return run


@_add("39", "all-deleted-no-snapshot", refuses("masters.all-lost"), spec=with_s3())
async def _(story: Story) -> Run:
    await lose_all(story)
    run = await story.create()
    assert f"--new-cluster-over {story.before.ca[:8]}" in run.told.refusals[0].you_can
    return run


@_add("40", "all-deleted-s3-unreachable", refuses("restore.unknown"), spec=with_s3())
async def _(story: Story) -> None:
    snapshot_now(story)
    story.world.site.bucket.down = True
    await lose_all(story)


def _keeping(count: int) -> ClusterSpec:
    """Have k3s keep so many snapshots only: a day of hours takes long, even here."""
    spec = with_s3()
    return replace(spec, etcd=replace(spec.etcd, snapshot_retention=count))


@_add("41", "restore-does-not-prune", Told(), spec=_keeping(2))
async def _(story: Story) -> Run:
    """The restored snapshot outlives k3s' retention, which goes by the prefix alone."""
    name = snapshot_now(story)
    await lose_all(story)
    run = await story.create(consents=LATEST)
    assert run.code is ExitCode.CONVERGED, run.story()
    bucket = story.world.site.bucket
    keep = story.spec.etcd.snapshot_retention
    await asyncio.sleep(3600.0 * (keep + 1))
    names = {found for folder, found in bucket.objects if folder == CLUSTER}
    assert len([found for found in names if found.startswith(saving.SCHEDULED)]) == keep
    assert name not in names, "the retention did not do what it is here for"
    assert f"kept-{name}" in names
    return run


@_add("42", "single-master-deleted", Restored((MASTER1,)), spec=with_s3(a_spec(1)))
async def _(story: Story) -> Run:
    snapshot_now(story)
    await write_later(story)
    await lose_all(story, MASTER1)
    return await story.create(consents=LATEST)
