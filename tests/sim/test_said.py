"""What a user reads while each kind of run goes on: every sentence, and of which server or resource it is said."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from inline_snapshot import snapshot

from hetzner_k3s.lab.simulated.faults import PoweredOff, ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model.consents import Consents, Keep, Prune, ResetQuorumFrom, Restore
from hetzner_k3s.model.spec import ClusterSpec

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, a_spec, on_database, with_s3
from .scenarios_restore import MASTERS, lose_all, snapshot_now
from .story import Story, healthy
from .tool import Run

_VARYING = re.compile(r"\d{10,}|\d+\.\d [kM]B|(?<=lineage )\w+")
"""Moments, sizes and random digits."""


def said(spec: ClusterSpec, happens: Callable[[Story], Awaitable[Run]]) -> list[str]:
    """Return what a run says, each sentence once, in order of their names."""

    async def play() -> list[str]:
        async with healthy(3, spec) as story:
            told = await happens(story)
            return sorted({_VARYING.sub("*", sentence) for sentence in told.told.said})

    return run(play())


def test_of_a_new_cluster() -> None:
    async def born(story: Story) -> Run:
        return story.runs[0]

    assert said(a_spec(2, 1, load_balancer=True), born) == snapshot(
        [
            "prod applying hcloud-cloud-controller-manager, hcloud-csi",
            "prod its tokens are kept at ~/.local/state/hetzner-k3s/prod/tokens, readable by you alone",
            "prod kubeconfig written to /home/someone/kubeconfig",
            "prod making the firewall",
            "prod making the private network 10.0.0.0/16",
            "prod recording the birth: bootstrapping",
            "prod recording the birth: born",
            "prod registering the SSH key",
            "prod-api making the API load balancer",
            "prod-master1 asking for the server",
            "prod-master1 correcting its configuration",
            "prod-master1 initializing the cluster",
            "prod-master1 installing k3s v1.36.3+k3s1",
            "prod-master1 is up",
            "prod-master1 recording it as a member",
            "prod-master1 replacing its boot host key",
            "prod-master1 waiting for its SSH",
            "prod-master2 asking for the server",
            "prod-master2 installing k3s v1.36.3+k3s1",
            "prod-master2 is a voter",
            "prod-master2 is up",
            "prod-master2 joining through prod-master1",
            "prod-master2 recording it as a member",
            "prod-master2 replacing its boot host key",
            "prod-master2 waiting for its SSH",
            "prod-masters-pg1 making the placement group",
            "prod-pool-small-worker1 asking for the server",
            "prod-pool-small-worker1 installing k3s v1.36.3+k3s1",
            "prod-pool-small-worker1 is Ready",
            "prod-pool-small-worker1 is up",
            "prod-pool-small-worker1 joining through prod-master1",
            "prod-pool-small-worker1 replacing its boot host key",
            "prod-pool-small-worker1 waiting for its SSH",
            "prod-pool-small-workers-pg1 making the placement group",
        ]
    )


def test_of_a_lost_master() -> None:
    async def lost(story: Story) -> Run:
        await story.happens(ServerDeleted(MASTER1))
        return await story.create()

    assert said(a_spec(workers=1), lost) == snapshot(
        [
            "prod-master1 asking for the server",
            "prod-master1 deleting its Node",
            "prod-master1 installing k3s v1.36.3+k3s1",
            "prod-master1 is a voter",
            "prod-master1 is up",
            "prod-master1 joining through prod-master2",
            "prod-master1 recording it as a member",
            "prod-master1 removing its etcd member on prod-master2",
            "prod-master1 replacing its boot host key",
            "prod-master1 waiting for its SSH",
            "prod-master2 saved *",
            "prod-master2 saving the snapshot pre-repair-*",
        ]
    )


def test_of_a_host_without_power() -> None:
    async def off(story: Story) -> Run:
        await story.happens(PoweredOff(MASTER2))
        return await story.create()

    assert said(a_spec(workers=0), off) == snapshot(["prod-master2 is back", "prod-master2 powering it on"])


def test_of_a_smaller_cluster() -> None:
    async def shrunk(story: Story) -> Run:
        story.wish(a_spec(1, 0))
        return await story.create(consents=Consents.of(Prune()))

    assert said(a_spec(3, 1, load_balancer=True), shrunk) == snapshot(
        [
            "prod kubeconfig written to /home/someone/kubeconfig",
            "prod-api deleting the load balancer",
            "prod-master1 correcting its configuration",
            "prod-master1 saved *",
            "prod-master1 saving the snapshot pre-prune-*",
            "prod-master2 cordoning its Node",
            "prod-master2 deleting its Node",
            "prod-master2 deleting the server",
            "prod-master2 evicting its pods",
            "prod-master2 removing its etcd member on prod-master1",
            "prod-master2 taking it off the API load balancer's targets",
            "prod-master3 cordoning its Node",
            "prod-master3 deleting its Node",
            "prod-master3 deleting the server",
            "prod-master3 evicting its pods",
            "prod-master3 removing its etcd member on prod-master1",
            "prod-master3 taking it off the API load balancer's targets",
            "prod-pool-small-worker1 cordoning its Node",
            "prod-pool-small-worker1 deleting its Node",
            "prod-pool-small-worker1 deleting the server",
            "prod-pool-small-worker1 evicting its pods",
        ]
    )


def test_of_a_lost_quorum() -> None:
    async def reset(story: Story) -> Run:
        await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2))
        return await story.create(consents=Consents.of(ResetQuorumFrom(MASTER3)))

    assert said(a_spec(workers=1), reset) == snapshot(
        [
            "prod recording lineage *",
            "prod-master1 asking for the server",
            "prod-master1 deleting its Node",
            "prod-master1 installing k3s v1.36.3+k3s1",
            "prod-master1 is a voter",
            "prod-master1 is up",
            "prod-master1 joining through prod-master3",
            "prod-master1 recording it as a member",
            "prod-master1 replacing its boot host key",
            "prod-master1 waiting for its SSH",
            "prod-master2 asking for the server",
            "prod-master2 deleting its Node",
            "prod-master2 installing k3s v1.36.3+k3s1",
            "prod-master2 is a voter",
            "prod-master2 is up",
            "prod-master2 joining through prod-master3",
            "prod-master2 recording it as a member",
            "prod-master2 replacing its boot host key",
            "prod-master2 waiting for its SSH",
            "prod-master3 becomes the only member; writes that only the lost masters acknowledged may be missing",
            "prod-master3 copied to ~/.local/state/hetzner-k3s/prod/rescue/prod-master3; "
            "checksums verified, readable by you alone",
            "prod-master3 copying its datastore, keys and token to this machine",
            "prod-master3 correcting its configuration",
            "prod-master3 serves the cluster alone",
            "prod-master3 stopping k3s; nothing in its data is changed",
        ]
    )


def test_of_a_restored_cluster() -> None:
    async def restored(story: Story) -> Run:
        snapshot_now(story)
        await lose_all(story, *MASTERS)
        return await story.create(consents=Consents.of(Restore("latest")))

    assert said(with_s3(a_spec(workers=1)), restored) == snapshot(
        [
            "etcd-snapshot-prod-master2-* keeping a copy as prod/kept-etcd-snapshot-prod-master2-*",
            "prod recording lineage *",
            "prod-master1 answers as the recorded cluster",
            "prod-master1 asking for the server",
            "prod-master1 correcting its configuration",
            "prod-master1 deleting the Nodes of lost masters: prod-master1, prod-master2, prod-master3",
            "prod-master1 installing k3s v1.36.3+k3s1",
            "prod-master1 is up",
            "prod-master1 recording it as a member",
            "prod-master1 replacing its boot host key",
            "prod-master1 restoring kept-etcd-snapshot-prod-master2-*",
            "prod-master1 starting it with its agent",
            "prod-master1 starting the restored cluster, without its agent yet",
            "prod-master1 waiting for its SSH",
            "prod-master2 asking for the server",
            "prod-master2 installing k3s v1.36.3+k3s1",
            "prod-master2 is a voter",
            "prod-master2 is up",
            "prod-master2 joining through prod-master1",
            "prod-master2 recording it as a member",
            "prod-master2 replacing its boot host key",
            "prod-master2 waiting for its SSH",
            "prod-master3 asking for the server",
            "prod-master3 installing k3s v1.36.3+k3s1",
            "prod-master3 is a voter",
            "prod-master3 is up",
            "prod-master3 joining through prod-master1",
            "prod-master3 recording it as a member",
            "prod-master3 replacing its boot host key",
            "prod-master3 waiting for its SSH",
        ]
    )


def test_of_a_cluster_on_a_database() -> None:
    async def born(story: Story) -> Run:
        return story.runs[0]

    assert said(on_database(a_spec(2, 0)), born) == snapshot(
        [
            "prod applying hcloud-cloud-controller-manager, hcloud-csi",
            "prod its tokens are kept at ~/.local/state/hetzner-k3s/prod/tokens, readable by you alone",
            "prod kubeconfig written to /home/someone/kubeconfig",
            "prod making the firewall",
            "prod making the private network 10.0.0.0/16",
            "prod recording the birth: bootstrapping",
            "prod recording the birth: born",
            "prod registering the SSH key",
            "prod-master1 asking for the server",
            "prod-master1 initializing the cluster",
            "prod-master1 installing k3s v1.36.3+k3s1",
            "prod-master1 is up",
            "prod-master1 recording it as a member",
            "prod-master1 replacing its boot host key",
            "prod-master1 waiting for its SSH",
            "prod-master2 asking for the server",
            "prod-master2 installing k3s v1.36.3+k3s1",
            "prod-master2 is up",
            "prod-master2 recording it as a member",
            "prod-master2 replacing its boot host key",
            "prod-master2 serves the cluster",
            "prod-master2 starting on the external database",
            "prod-master2 waiting for its SSH",
            "prod-masters-pg1 making the placement group",
        ]
    )


def test_of_a_deleted_cluster() -> None:
    async def deleted(story: Story) -> Run:
        return await story.delete()

    assert said(a_spec(1, 1), deleted) == snapshot(
        [
            "prod deleting the firewall",
            "prod deleting the network",
            "prod deleting the ssh key",
            "prod is gone; closing its record on this machine",
            "prod recording that the cluster is being deleted",
            "prod-master1 deleting the server",
            "prod-masters-pg1 deleting the placement group",
            "prod-pool-small-worker1 deleting the server",
            "prod-pool-small-workers-pg1 deleting the placement group",
        ]
    )


def test_of_a_side_that_is_not_kept() -> None:
    async def split(story: Story) -> Run:
        await story.happens(PoweredOff(MASTER1), PoweredOff(MASTER2))
        await mischief.reset_by_hand(story.world, story.world.host(MASTER3))
        await story.heals(PoweredOff(MASTER1), PoweredOff(MASTER2))
        await asyncio.sleep(60)
        (digits,) = re.findall(rf"--keep (\w{{8}})` keeps {MASTER3}", (await story.create()).told.refusals[0].you_can)
        return await story.create(consents=Consents.of(Keep(digits)))

    assert said(a_spec(workers=0), split) == snapshot(
        [
            "prod-master1 copied to ~/.local/state/hetzner-k3s/prod/rescue/prod-master1; "
            "checksums verified, readable by you alone",
            "prod-master1 copying its datastore, keys and token to this machine",
            "prod-master1 deleting its Node",
            "prod-master1 is a voter",
            "prod-master1 joining through prod-master3",
            "prod-master1 moving its data aside; it stays on its disk",
            "prod-master1 recording it as a member",
            "prod-master1 stopping k3s; nothing in its data is changed",
            "prod-master2 copied to ~/.local/state/hetzner-k3s/prod/rescue/prod-master2; "
            "checksums verified, readable by you alone",
            "prod-master2 copying its datastore, keys and token to this machine",
            "prod-master2 deleting its Node",
            "prod-master2 is a voter",
            "prod-master2 joining through prod-master1",
            "prod-master2 moving its data aside; it stays on its disk",
            "prod-master2 recording it as a member",
            "prod-master2 stopping k3s; nothing in its data is changed",
        ]
    )
