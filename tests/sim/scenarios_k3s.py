"""Scenarios 48-71, 77: identity, tokens, learners, configuration and versions."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import CutOff, ServerDeleted
from hetzner_k3s.lab.simulated.hosts import config_file
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.spec import ClusterSpec, KubernetesNetworkSpec

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, MASTER3, VERSION, a_spec
from .scenario import Collection, Fails, Told, converges, recovers, refuses
from .story import Story, with_version
from .tool import Run

K3S = Collection()
_add = K3S.add

_NEWER = "v1.36.4+k3s1"
_LEARNER_TIME = (60.0, 60.0)
_FOR_EVER = (400.0, 400.0)


# --- who it is


# --- tokens


_ROTATED = "rotated-password"


def _starts(story: Story) -> dict[str, int]:
    return {host.name: host.units[K3sRole.SERVER].starts for host in _masters(story)}


def _masters(story: Story) -> list[Host]:
    return [host for host in story.world.site.hosts.values() if K3sRole.SERVER in host.units]


def _hold_the_current_token(story: Story, password: str) -> None:
    """Demand that every master's config.yaml has it, pinning the CA."""
    for host in _masters(story):
        facts = host.disk.facts()
        assert facts.config_token_hash == tokens.short_hash(password), f"{host.name} holds another token"
        assert facts.config_token_ca == facts.server_ca, f"{host.name} holds a bare token"


@_add("52", "token-tie", converges())
async def _(story: Story) -> Run:
    """One file is new, one is old, one is not seen: what the datastore knows decides, not the majority."""
    await mischief.rotate_token(story.world, story.world.host(MASTER1), _ROTATED)
    await story.happens(CutOff(MASTER3))
    await story.heals(CutOff(MASTER3))
    await asyncio.sleep(60)
    starts = _starts(story)
    run = await story.create()
    _hold_the_current_token(story, _ROTATED)
    assert _starts(story) == starts, "a healthy k3s was restarted"
    return run


@_add("53", "token-rotated-on-one", converges(MASTER2, MASTER3))
async def _(story: Story) -> None:
    """No server accepts the new password before it is restarted, the one that was rotated on included.

    So the files are rewritten, nothing is restarted and nothing removed; when its owner has restarted one master, the
    lost one is replaced through that.
    """
    await mischief.rotate_token(story.world, story.world.host(MASTER1), _ROTATED)
    await story.happens(ServerDeleted(MASTER3))
    starts = _starts(story)
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("token.not-accepted",), run.story()
    assert {verb for verb, _ in run.told.steps} == {"RenewToken", "KeepTokens"}, run.story()
    assert starts.items() >= _starts(story).items(), "a healthy k3s was restarted"
    mischief.server_unit_stopped(story.world.host(MASTER2))
    mischief.start(story.world.host(MASTER2))
    await asyncio.sleep(60)


@_add("53", "token-rotated-and-a-master-restarted-with-the-old-one", converges(MASTER2))
async def _(story: Story) -> Run:
    """It ends at each start, also with the new token, until its password file of the old one is gone (row 28)."""
    await mischief.rotate_token(story.world, story.world.host(MASTER1), _ROTATED)
    host = story.world.host(MASTER2)
    mischief.server_unit_stopped(host)
    mischief.start(host)
    await asyncio.sleep(60)
    assert host.units[K3sRole.SERVER].facts().restarts > 0
    others = {name: count for name, count in _starts(story).items() if name != MASTER2}
    run = await story.create()
    _hold_the_current_token(story, _ROTATED)
    assert others.items() <= _starts(story).items(), "a healthy k3s was restarted"
    return run


@_add("54", "bare-token-migration", converges())
async def _(story: Story) -> Run:
    """Every master's file holds the bare password, as 2.6 hands it out: completed, without a restart."""
    password = ""
    for host in _masters(story):
        full = str(config_file.read(host.disk.config or "")["token"])
        password = tokens.parse(full).password
        host.disk.config = (host.disk.config or "").replace(full, password)
    starts = _starts(story)
    run = await story.create()
    _hold_the_current_token(story, password)
    assert _starts(story) == starts, "a healthy k3s was restarted"
    return run


# --- learners


@_add("55", "unstarted-learner-leftover (foreign IP)", converges())
async def _(story: Story) -> None:
    await mischief.add_learner(story.world, "10.0.0.77")


@_add("56", "slow-learner", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    story.world.site.peers.catch_up = lambda _: _LEARNER_TIME


@_add("57", "learner-evicted", converges(MASTER1))
async def _(story: Story) -> Run:
    """The leader gives the learner up after five minutes; the next run puts its data aside, once, and it joins anew."""
    await story.happens(ServerDeleted(MASTER1))
    in_time = story.world.site.peers.catch_up
    story.world.site.peers.catch_up = lambda _: _FOR_EVER
    run = await story.create()
    assert "more has to be done than was shown" in str(run.error), run.story()
    story.world.site.peers.catch_up = in_time
    run = await story.create()
    assert run.told.steps.count(("WipeJoiner", MASTER1)) == 1, run.story()
    return run


# --- configuration and start


def _other_pods() -> ClusterSpec:
    return replace(a_spec(), kubernetes_network=KubernetesNetworkSpec(cluster_cidr="10.99.0.0/16"))


@_add("58", "join-fails-critical-config", refuses("config.drift"))
async def _(story: Story) -> None:
    """Told where nothing is to be done; refused before a server is bought where a master is lost."""
    story.wish(_other_pods())
    run = await story.create()
    assert run.code is ExitCode.PENDING, run.story()
    told = [(one.field, one.seen, one.wanted, one.remedy) for one in run.differences]
    assert told == [("networking.cluster_cidr", "10.244.0.0/16", "10.99.0.0/16", Remedy.FIXED)], run.story()
    await story.happens(ServerDeleted(MASTER1))


@_add("59", "join-crash-loop", Fails("ends at each start: level=fatal msg='exec format error'"))
async def _(story: Story) -> Run:
    """A k3s that ends again and again for a reason that we do not know is named soon, with its own words."""
    await story.happens(ServerDeleted(MASTER1))
    story.world.site.crash_on_start[MASTER1] = "exec format error"
    run = await story.create()
    assert run.seconds < 240, run.story()
    return run


@_add("60", "join-blocks-unhealthy", converges(MASTER1))
async def _(story: Story) -> Run:
    """The successor dies as a learner and is promoted by k3s' tick all the same: a dead voter blocks who joins."""
    await story.happens(ServerDeleted(MASTER1))
    await story.create(kill_at=f"after StartK3s on {MASTER1}")
    while _learners(story) != [True]:
        await story.world.site.peers.changed()
    await story.happens(ServerDeleted(MASTER1))
    await asyncio.sleep(20)
    assert _learners(story) == [], "the dead learner was not promoted"
    return await story.create()


def _learners(story: Story) -> list[bool]:
    """Tell of each learner whether it caught up."""
    data = invariants.leading_data(story.world)
    numbers = [m.id for m in data.members.values() if m.learner] if data else []
    return [peer.synced for peer in story.world.site.peers.members() if peer.data.member_id in numbers]


@_add("61", "newer-on-disk-leftovers", refuses("identity.other"))
async def _(story: Story) -> None:
    """Half of a second cluster lies on a master whose etcd does not run."""
    mischief.server_unit_stopped(await mischief.second_cluster(story.world, MASTER3, keep_tls=False))


@_add("62", "api-down-etcd-up", Told())
async def _(story: Story) -> Run:
    """Waited for by name, then refused with what k3s said last: nothing is replaced, nothing is reset."""
    mischief.break_api(story.world)
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("api.down",), run.story()
    assert "apiserver exited" in run.told.refusals[0].saw
    assert not run.told.steps, run.story()
    assert not invariants.always(story.world, story.before)
    return run


@_add("63", "etcd-nospace", refuses("etcd.no-space"))
async def _(story: Story) -> None:
    """Told where nothing is to be done; nothing is bought where something has yet to join."""
    story.world.site.alarms[MASTER2] = ("NOSPACE",)
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert any(f"NOSPACE for {MASTER2}" in note for note in run.notes), run.notes
    await story.happens(ServerDeleted(MASTER1))


@_add("64", "etcd-corrupt-member", refuses("master.not-ready"))
async def _(story: Story) -> None:
    """Every member tells of the one that is corrupt: only that one is out, and never seed."""
    story.world.site.alarms[MASTER1] = ("CORRUPT",)


@_add("65", "lagging-voter-as-first", refuses("master.not-ready"))
async def _(story: Story) -> None:
    """The oldest master lags behind: it is never the seed, and nothing is done while it is away."""
    await story.happens(CutOff(MASTER1))
    await asyncio.sleep(30)


@_add("66", "tombstone-init-node", recovers(MASTER1))
async def _(story: Story) -> None:
    host = story.world.host(MASTER1)
    await mischief.remove_member(story.world, MASTER1)
    await faults.until(lambda: host.disk.tombstone, "the tombstone")


@_add("67", "clock-skew-5s / 300s", converges(MASTER1))
async def _(story: Story) -> None:
    """Seconds are told. With minutes the replacement does not join until somebody sets its clock."""
    story.world.site.skew[MASTER1] = 6.0
    run = await story.create()
    assert run.code is ExitCode.CONVERGED, run.story()
    assert any(f"{MASTER1} is 6 s ahead" in note for note in run.notes), run.notes
    await story.happens(ServerDeleted(MASTER1))
    story.world.site.skew[MASTER1] = 300.0
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("clock.skew",), run.story()
    assert ("JoinControlPlane", MASTER1) not in run.told.steps
    del story.world.site.skew[MASTER1]


@_add("68", "version-drift", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1))
    story.wish(with_version(story.spec, _NEWER))
    run = await story.create()
    assert run.code is ExitCode.PENDING, run.story()
    assert story.world.host(MASTER1).disk.k3s_version == VERSION, "a replacement was an upgrade in disguise"
    left = {(one.field, one.seen, one.wanted) for one in run.differences if one.left}
    assert left == {("k3s_version", VERSION, _NEWER)}
    story.wish(with_version(story.spec, VERSION))


@_add("69", "secrets-encrypt-in-progress", converges(MASTER3))
async def _(story: Story) -> None:
    """Deferred while one master is at another stage than the others; the lost one's Node says nothing."""
    for name, stage in ((MASTER1, "prepare-b"), (MASTER2, "start-a"), (MASTER3, "start-a")):
        await mischief.encryption(story.world, name, stage)
    await story.happens(ServerDeleted(MASTER3))
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == ("encryption.rotating",), run.story()
    assert not run.writes
    for name in (MASTER1, MASTER2):
        await mischief.encryption(story.world, name, "reencrypt_finished-c")


def _with_types_in_names() -> ClusterSpec:
    spec = a_spec()
    masters = tuple(replace(m, name=m.name.replace("prod-", "prod-cpx22-")) for m in spec.masters)
    return replace(spec, masters=masters)


@_add("71", "renamed-masters", Told())
async def _(story: Story) -> Run:
    story.wish(_with_types_in_names())
    run = await story.create()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused[0] == "masters.other-names", run.story()
    assert not run.writes
    return run


@_add("77", "snapshot-cron-valid", converges())
async def _(story: Story) -> None:
    for name in (MASTER1, MASTER2, MASTER3):
        schedule = str(config_file.read(story.world.host(name).disk.config or "")["etcd-snapshot-schedule-cron"])
        assert len(schedule.split()) == 5, f"{name}: {schedule!r} is no cron expression"
