"""A cluster that is not initialized yet, or no more: what stands in the way of a birth, and how its user clears it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from hetzner_k3s.lab.k3s.etcd.model_data import Data
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.faults import K3sKilled, Rebooted, ServerDeleted, until
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.model.consents import Consents, NewClusterOver
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole

from . import mischief
from .clusters import WORKER1, WORKER2, with_s3
from .scenario import Told
from .scenarios_restore import snapshot_now
from .situation import Situations, born, gone, rename, said
from .story import Story
from .tool import Run

BIRTH = Situations("birth")
_tell = BIRTH.tell


@_tell("deleted-and-made-anew", born())
async def _(story: Story) -> None:
    """Nothing is left of the first one, on this machine neither."""
    await gone(story)
    assert story.world.laptop.kubeconfig is None


@_tell("a-deletion-is-cut-off", born())
async def _(story: Story) -> None:
    """What is left is no cluster to repair: it is deleted to the end, then made anew."""
    killed = await story.delete(kill_at=6)
    assert killed.code is None, killed.story()
    said(await story.refuses("cluster.deleting"), "cluster.deleting", "hetzner-k3s delete")
    await gone(story)


@_tell("the-power-is-cut-before-etcd-has-written-anything", born())
async def _(story: Story) -> None:
    """TLS files and token are there, a WAL is not, and the permit went with /run (TRACK_RECORD.md)."""
    await gone(story)
    await story.create(kill_at="after StartK3s")
    seed = story.world.host(story.begun_on)
    await until(lambda: seed.disk.server_ca is not None, "the authorities")
    assert seed.disk.drive.data is None
    await story.happens(Rebooted(seed.name))
    await asyncio.sleep(60)
    said(await story.refuses("birth.half-begun"), "birth.half-begun", "Delete that server")
    assert not story.world.site.births
    await story.happens(ServerDeleted(seed.name))


def _log_began(data: Data) -> bool:
    return not data.committed


def _log_leads(data: Data) -> bool:
    return data.committed


async def _kill_in_first_start(story: Story, moment: Callable[[Data], bool], after: float = 0.0) -> None:
    """Kill k3s so many seconds after a moment of its log."""
    while not any(moment(peer.data) for peer in story.world.site.peers.members()):
        await story.world.site.peers.changed()
    await asyncio.sleep(after)
    await story.happens(K3sKilled(story.begun_on))


async def _killed_in_its_first_start(story: Story, moment: Callable[[Data], bool], after: float = 0.0) -> str:
    """Kill k3s then, and the tool before; give the CA that there is by then."""
    await gone(story)
    await story.create(kill_at="after StartK3s")
    await _kill_in_first_start(story, moment, after)
    await asyncio.sleep(60)
    return tokens.ca_hash(story.world.host(story.begun_on).disk.server_ca or b"")


def _cut_off(moment: Callable[[Data], bool], words: str) -> Callable[[Story], Awaitable[None]]:
    async def happens(story: Story) -> None:
        """It ends at every start with these words; nothing was initialized, so it begins anew with the same CA."""
        ca = await _killed_in_its_first_start(story, moment)
        seed = story.world.host(story.begun_on)
        assert seed.units[K3sRole.SERVER].facts().restarts > 5
        assert words in [line.text for line in seed.journal if "level=fatal" in line.text][-1]
        story.world.site.births.clear()
        run = await story.create()
        assert run.code is ExitCode.CONVERGED, run.story()
        assert "FAILED" not in run.story()
        assert tokens.ca_hash(seed.disk.server_ca or b"") == ca
        story.world.site.births[1:] = []
        await born().check(story, await story.create())

    return happens


_tell("k3s-is-killed-right-after-its-log-began", Told())(_cut_off(_log_began, "failed to read consistent index"))
_tell("k3s-is-killed-before-it-saves-its-bootstrap", Told())(
    _cut_off(_log_leads, "no bootstrap data found in datastore")
)


@_tell("k3s-is-killed-after-its-bootstrap-data-is-saved", born())
async def _(story: Story) -> None:
    """It goes on by itself."""
    await _killed_in_its_first_start(story, _log_leads, after=1.0)
    assert story.world.host(story.begun_on).units[K3sRole.SERVER].facts().active == "active"


@_tell("k3s-is-killed-right-after-its-log-began-under-the-run", born())
async def _(story: Story) -> Run:
    """The run that gives birth sees it, and begins anew by itself."""
    await gone(story)
    seed_killed = asyncio.ensure_future(_kill_in_first_start(story, _log_began))
    run = await story.create()
    await seed_killed
    del story.world.site.births[0]
    return run


@_tell("k3s-is-started-by-hand-before-the-birth", born())
async def _(story: Story) -> None:
    """The start guard ends it again and again: nothing was initialized, and a run must not call that up to date."""
    await gone(story)
    host = await _with_k3s_installed(story)
    mischief.start(host)
    await asyncio.sleep(30)
    assert host.units[K3sRole.SERVER].facts().restarts > 0


@_tell("a-mark-of-a-reset-lies-on-an-empty-master", born())
async def _(story: Story) -> None:
    """A quorum was reset here once: another master must not begin a cluster beside what that one may know."""
    await gone(story)
    host = await _with_k3s_installed(story)
    host.disk.held = True
    refused = await story.refuses("birth.not-empty")
    assert f"{host.name} (id" in said(refused, "birth.not-empty", "Delete it at Hetzner").saw
    await story.happens(ServerDeleted(host.name))


async def _with_k3s_installed(story: Story) -> Host:
    """Kill a run when k3s was installed on the first master, and give that master's host."""
    for name in story.spec.master_names:
        await story.create(kill_at=f"after Install on {name}")
        if not story.world.site.births:
            return story.world.host(name)
        await gone(story)
    raise AssertionError("each master's k3s was installed after the cluster had begun")


@_tell("its-seed-is-renamed", born())
async def _(story: Story) -> None:
    """The seed of an unfinished birth may hold the cluster: under another name it is no master."""
    await gone(story)
    await story.create(kill_at="after record 'birth opened'")
    seed = story.begun_on
    rename(story, "servers", seed, "keep-me")
    said(await story.refuses("masters.other-names", "birth.seed"), "birth.seed", "Give that server its name back")
    rename(story, "servers", "keep-me", seed)


@_tell("its-seed-is-renamed-and-given-up", born())
async def _(story: Story) -> None:
    await gone(story)
    await story.create(kill_at="after record 'birth opened'")
    seed = story.begun_on
    rename(story, "servers", seed, "keep-me")
    said(await story.refuses("masters.other-names", "birth.seed"), "birth.seed", "delete it at Hetzner")
    await story.happens(ServerDeleted("keep-me"))


@_tell("everything-was-deleted-in-the-console", born())
async def _(story: Story) -> None:
    """Only this machine remembers a bootstrap: it could be the wrong project, so its owner says that it is gone."""
    await mischief.delete_everything(story.world)
    refused = await story.refuses("birth.kubeconfig", "birth.journal")
    said(refused, "birth.kubeconfig", "If that cluster is gone for good, move the kubeconfig away")
    said(refused, "birth.journal", "run `hetzner-k3s delete` with this file")
    story.world.laptop.kubeconfig = None
    await gone(story)


@_tell("workers-are-left-of-a-cluster-without-a-record", Told())
async def _(story: Story) -> Run:
    """Somebody deleted the masters and every label of the record; another machine knows nothing of a birth."""
    for name in story.spec.master_names:
        await story.happens(ServerDeleted(name))
    mischief.forget_record(story.world)
    story.world.laptop = OperatorMachine("another")
    refused = await story.refuses("birth.not-empty", "birth.not-empty")
    said(refused, "birth.not-empty", "Delete it at Hetzner")
    await story.happens(ServerDeleted(WORKER1), ServerDeleted(WORKER2))
    story.world.site.births.clear()
    run = await story.create()
    await born().check(story, run)
    return run


async def _with_old_snapshots(story: Story) -> str:
    """Delete a cluster whose snapshots stay in S3; gives the digits of its UID that the refusal shows."""
    snapshot_now(story)
    await gone(story)
    said(await story.refuses("birth.snapshots"), "birth.snapshots", story.before.uid[:8])
    return story.before.uid[:8]


@_tell("snapshots-of-an-earlier-one-are-let-go", born(), spec=with_s3())
async def _(story: Story) -> Run:
    return await story.create(consents=Consents.of(NewClusterOver(await _with_old_snapshots(story))))


@_tell("snapshots-of-an-earlier-one-are-kept-in-their-folder", born(), spec=with_s3())
async def _(story: Story) -> None:
    await _with_old_snapshots(story)
    s3 = story.spec.etcd.s3
    assert s3 is not None
    story.wish(replace(story.spec, etcd=replace(story.spec.etcd, s3=replace(s3, folder="second", shared_root=False))))


@_tell("snapshots-of-an-earlier-one-are-moved-away", born(), spec=with_s3())
async def _(story: Story) -> None:
    await _with_old_snapshots(story)
    story.world.site.bucket.objects.clear()


@_tell("s3-is-silent", born(), spec=with_s3())
async def _(story: Story) -> None:
    """What is in it could be all that is left of a lost cluster."""
    await gone(story)
    story.world.site.bucket.down = True
    said(await story.refuses("birth.snapshots-unknown"), "birth.snapshots-unknown", "when the S3 service answers")
    story.world.site.bucket.down = False


@_tell("a-lost-cluster-without-its-network-is-given-up", born())
async def _(story: Story) -> Run:
    """A network that is gone stands in the way of a repair, not of a new cluster."""
    await mischief.delete_everything(story.world, but=("placement_groups",))
    refused = await story.refuses("network.gone", "masters.all-lost")
    said(refused, "masters.all-lost", f"--new-cluster-over {story.before.ca[:8]}")
    story.world.site.births.clear()
    return await story.create(consents=Consents.of(NewClusterOver(story.before.ca[:8])))


@_tell("a-lost-cluster-is-given-up", Told())
async def _(story: Story) -> Run:
    """Given up by the digits that the refusal shows, and only when it is lost; its workers are then in the way."""
    new = NewClusterOver(story.before.ca[:8])
    over = Consents.of(new)
    said(await story.refuses("consent.unfit", consents=over), "consent.unfit", "delete its masters")
    for name in story.spec.master_names:
        await story.happens(ServerDeleted(name))
    refused = await story.refuses("masters.all-lost")
    said(refused, "masters.all-lost", str(new), f"rebuilt: {WORKER1}, {WORKER2}")
    story.world.site.births.clear()
    run = await story.create(consents=over)
    assert run.code is ExitCode.PENDING, run.story()
    assert f"{WORKER1} is of the cluster that was given up: delete or rebuild it" in run.story()
    refused = await story.refuses("identity.agent", "identity.agent")
    said(refused, "identity.agent", "If its cluster is gone, delete or rebuild that server")
    await story.happens(ServerDeleted(WORKER1), ServerDeleted(WORKER2))
    run = await story.create()
    await born().check(story, run)
    return run
