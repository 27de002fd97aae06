"""What a user does about a refusal at which a numbered scenario ends, and that it leads to a healthy cluster."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ApiFault, CutOff, PoweredOff, ServerDeleted, SshDenied, SshSilent, until
from hetzner_k3s.lab.simulated.world import OTHER_TOKEN
from hetzner_k3s.model.consents import Consents, Replace, ResetQuorumFrom
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec, KubernetesNetworkSpec

from . import mischief, tokens_at_hand
from .clusters import MASTER1, MASTER2, MASTER3, a_spec, with_s3
from .scenario import Told, converges, recovers
from .scenarios_restore import LATEST, MASTERS, Restored, lose_all, snapshot_now
from .situation import Situations, said
from .story import Story
from .tool import Run

ADVICE = Situations("advice")
_tell = ADVICE.tell


def _with_types(spec: ClusterSpec, server_type: str = "cpx22") -> ClusterSpec:
    """Have servers' types in masters' names (include_instance_type_in_instance_name)."""
    masters = (replace(m, name=m.name.replace("prod-", f"prod-{server_type}-")) for m in spec.masters)
    return replace(spec, masters=tuple(masters))


@_tell("13-a-master-has-its-host-key-back", recovers())
async def _(story: Story) -> None:
    host = story.world.host(MASTER2)
    key = host.disk.host_key
    mischief.another_machine_answers(host)
    said(await story.refuses("host.key-changed"), "host.key-changed", "give it its old host key back")
    host.disk.host_key = key


@_tell("13-a-master-with-another-host-key-is-given-up", converges(MASTER2))
async def _(story: Story) -> None:
    mischief.another_machine_answers(story.world.host(MASTER2))
    said(await story.refuses("host.key-changed"), "host.key-changed", "delete the server at Hetzner")
    await story.happens(ServerDeleted(MASTER2))


@_tell("21-the-masters-let-the-operator-in-again", recovers())
async def _(story: Story) -> None:
    await story.happens(*(SshDenied(name) for name in MASTERS))
    refused = await story.refuses("host.denied", "host.denied", "host.denied", "masters.none-healthy")
    said(refused, "host.denied", "let it in again (authorized_keys of root)")
    await story.heals(*(SshDenied(name) for name in MASTERS))


@_tell("18-the-survivors-answer-again", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    await story.create(kill_at=8)
    await mischief.servers_run(story.world)
    silence = [SshSilent(MASTER2), SshSilent(MASTER3)]
    await story.happens(*silence)
    said(await story.refuses("masters.none-healthy"), "masters.none-healthy", "restore SSH access", "Delete no server")
    await story.heals(*silence)


@_tell("23-the-api-answers-again", recovers())
async def _(story: Story) -> None:
    fault = ApiFault("error", method="GET", path="/servers", times=None)
    await story.happens(fault)
    said(await story.refuses("listing.incomplete"), "listing.incomplete", "when the Hetzner API answers")
    await story.heals(fault)


@_tell("25-the-right-token-is-given", recovers())
async def _(story: Story) -> None:
    run = await story.create(token=OTHER_TOKEN)
    assert run.refused == ("birth.kubeconfig", "birth.journal"), run.story()
    said(run, "birth.kubeconfig", "Check the Hetzner token")


@_tell("10-a-server-made-by-hand-is-deleted", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    mischief.make_server(story.world, MASTER1, mischief.master_labels())
    await mischief.servers_run(story.world)
    said(await story.refuses("server.by-hand"), "server.by-hand", "delete it at Hetzner")
    await story.happens(ServerDeleted(MASTER1))


@_tell("71-the-masters-have-their-old-names-in-the-file", recovers())
async def _(story: Story) -> None:
    right = story.spec
    masters = tuple(replace(m, name=m.name.replace("prod-", "prod-cpx22-")) for m in right.masters)
    story.wish(replace(right, masters=masters))
    refused = await story.refuses("masters.other-names")
    said(refused, "masters.other-names", "Set include_instance_type_in_instance_name back to false")
    story.wish(right)


@_tell("71-the-names-without-types-are-found", recovers(), spec=_with_types(a_spec()))
async def _(story: Story) -> None:
    """The switch the other way: nothing is called lost, whichever names the living cluster has."""
    right = story.spec
    story.wish(a_spec())
    refused = await story.refuses("masters.other-names")
    said(refused, "masters.other-names", "Set include_instance_type_in_instance_name back to true")
    story.wish(right)


@_tell("71-the-type-in-the-names-is-another", recovers(), spec=_with_types(a_spec()))
async def _(story: Story) -> None:
    right = story.spec
    story.wish(_with_types(a_spec(), "cx43"))
    refused = await story.refuses("masters.other-names")
    said(refused, "masters.other-names", "masters_pool.instance_type that is in these names")
    story.wish(right)


@_tell("58-the-live-values-are-put-into-the-file", converges(MASTER1))
async def _(story: Story) -> None:
    right = story.spec
    story.wish(replace(right, kubernetes_network=KubernetesNetworkSpec(cluster_cidr="10.99.0.0/16")))
    await story.happens(ServerDeleted(MASTER1))
    said(await story.refuses("config.drift"), "config.drift", "Put the live values into the file")
    story.wish(right)


@_tell("63-room-is-made-in-the-datastore", converges(MASTER1, MASTER2))
async def _(story: Story) -> None:
    """k3s defragments at its start and clears the alarm."""
    story.world.site.alarms[MASTER2] = ("NOSPACE",)
    await story.happens(ServerDeleted(MASTER1))
    said(await story.refuses("etcd.no-space"), "etcd.no-space", "restart k3s there (`systemctl restart k3s`)")
    host = story.world.host(MASTER2)
    mischief.server_unit_stopped(host)
    del story.world.site.alarms[MASTER2]
    mischief.start(host)
    await asyncio.sleep(60)


@_tell("61-half-of-a-second-cluster-is-deleted", converges(MASTER3))
async def _(story: Story) -> None:
    mischief.server_unit_stopped(await mischief.second_cluster(story.world, MASTER3, keep_tls=False))
    said(await story.refuses("identity.other"), "identity.other", "delete the server at Hetzner")
    await story.happens(ServerDeleted(MASTER3))


@_tell("33-the-other-one-is-deleted-and-quorum-reset", Told())
async def _(story: Story) -> Run:
    """The same command again, now that nothing can come back."""
    await story.happens(ServerDeleted(MASTER1), CutOff(MASTER2), SshSilent(MASTER2))
    reset = Consents.of(ResetQuorumFrom(MASTER3))
    refused = await story.create(consents=reset)
    said(refused, "quorum.reset-unsafe", "delete its server at Hetzner", "run the same command again")
    await story.happens(ServerDeleted(MASTER2))
    run = await story.create(consents=reset)
    assert run.code is ExitCode.CONVERGED, run.story()
    assert not story.broken(*MASTERS), story.broken(*MASTERS)
    return run


@_tell("33-the-network-is-whole-again", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1), CutOff(MASTER2))
    said(await story.refuses("quorum.lost"), "quorum.lost", "If the network between them is cut, mend it")
    await story.heals(CutOff(MASTER2))
    await asyncio.sleep(30)


@_tell("35-former-members-are-deleted", converges(*MASTERS))
async def _(story: Story) -> None:
    """What goes on after a reset by hand has the data that its owner wants; its past goes with its servers."""
    await story.happens(PoweredOff(MASTER1), PoweredOff(MASTER2))
    survivor = story.world.host(MASTER3)
    await mischief.reset_by_hand(story.world, survivor)
    await story.heals(PoweredOff(MASTER1), PoweredOff(MASTER2))
    await asyncio.sleep(60)
    said(await story.refuses("master.former"), "master.former", "Or delete its server at Hetzner")
    await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2))


@_tell("49-the-other-side-of-a-split-is-deleted", converges(MASTER3))
async def _(story: Story) -> None:
    await mischief.second_cluster(story.world, MASTER3, keep_tls=False)
    refused = await story.create()
    said(refused, "identity.split", "delete the servers of the side that goes at Hetzner")
    await story.happens(ServerDeleted(MASTER3))


@_tell("37-the-token-is-found", Told(), spec=with_s3(a_spec(workers=0)))
async def _(story: Story) -> Run:
    """In a password store: it is given in the environment, and opens the snapshot."""
    token = story.world.host(MASTER1).disk.token or ""
    written = tokens_at_hand.written_down(story.world.host(MASTER1).disk)
    snapshot_now(story)
    await lose_all(story)
    tokens_at_hand.laptop_lost(story.world)
    refused = await story.refuses("restore.no-token")
    said(refused, "restore.no-token", "in a password store", "environment variable HETZNER_K3S_TOKEN")
    assert tokens.short_hash(tokens.parse(token).password) in refused.told.refusals[0].saw
    story.world.laptop.tokens.extend(written)
    said(await story.refuses("restore.consent"), "restore.consent", "create --restore latest")
    run = await story.create(consents=LATEST)
    assert run.code is ExitCode.CONVERGED, run.story()
    return run


@_tell("39-its-snapshots-lie-in-another-folder", Restored(), spec=with_s3())
async def _(story: Story) -> Run:
    right = story.spec
    assert right.etcd.s3 is not None
    snapshot_now(story)
    await lose_all(story)
    wrong = replace(right.etcd.s3, folder="elsewhere", shared_root=False)
    story.wish(replace(right, etcd=replace(right.etcd, s3=wrong)))
    said(await story.refuses("masters.all-lost"), "masters.all-lost", "name that under datastore.etcd")
    story.wish(right)
    return await story.create(consents=LATEST)


@_tell("40-s3-answers-again", Restored(), spec=with_s3())
async def _(story: Story) -> Run:
    snapshot_now(story)
    story.world.site.bucket.down = True
    await lose_all(story)
    said(await story.refuses("restore.unknown"), "restore.unknown", "when it answers")
    story.world.site.bucket.down = False
    return await story.create(consents=LATEST)


@_tell("64-a-corrupt-master-is-discarded", converges(MASTER1))
async def _(story: Story) -> Run:
    story.world.site.alarms[MASTER1] = ("CORRUPT",)
    said(await story.refuses("master.not-ready"), "master.not-ready", f"--replace {MASTER1}")
    old = story.world.host(MASTER1)
    run = asyncio.ensure_future(story.create(consents=Consents.of(Replace(MASTER1))))
    await until(lambda: old.server_id not in story.world.project.servers, "its end")
    del story.world.site.alarms[MASTER1]
    return await run


@_tell("62-the-api-servers-come-back", converges(*MASTERS))
async def _(story: Story) -> None:
    mischief.break_api(story.world)
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    said(run, "api.down", "`systemctl restart k3s` on one master after the other")
    for name in (MASTER2, MASTER3):
        mischief.server_unit_stopped(story.world.host(name))
        mischief.start(story.world.host(name))
        await asyncio.sleep(60)


@_tell("the-only-master-lost-its-labels-and-has-them-back", recovers(), spec=a_spec(1, 0))
async def _(story: Story) -> None:
    """It was "rename or delete that server" beside "delete no server": of the cluster's only copy."""
    server, host = story.world.server(MASTER1), story.world.host(MASTER1)
    assert server is not None
    _label(story, server.id, {})
    refused = await story.refuses("server.foreign", "masters.none-healthy")
    said(refused, "server.foreign", f"add-label {MASTER1} cluster=prod role=master", "hetzner-k3s/host-key")
    assert not [r for r in refused.told.refusals if "or delete" in r.you_can.lower()], refused.told.refusals
    _label(story, server.id, {"cluster": "prod", "role": "master", "hetzner-k3s/host-key": host.disk.host_key})


def _label(story: Story, server: int, labels: dict[str, str]) -> None:
    answer = faults.ask(story.world, "PUT", f"/servers/{server}", json.dumps({"labels": labels}).encode())
    assert "error" not in answer, answer


@_tell("58-what-no-key-of-the-file-says-is-carried-over", converges(*MASTERS))
async def _(story: Story) -> Run:
    """Written by hand, or by a drop-in: the advice was to put it into the file, which has no such key."""
    for name in MASTERS:
        host = story.world.host(name)
        mischief.server_unit_stopped(host)
        host.disk.config = f"{host.disk.config}supervisor-metrics: true\n"
        mischief.start(host)
        await asyncio.sleep(60)
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    assert "supervisor-metrics: true" in (story.world.host(MASTER1).disk.config or ""), run.story()
    return run
