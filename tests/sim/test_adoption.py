"""A cluster of hetzner-k3s 2.x: told what it is, adopted with one flag, and from then on repaired like any other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from hetzner_k3s.lab.simulated.faults import DatabaseDeleted, PoweredOff, Rebooted, ServerDeleted, SshSilent
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import ROLLOUT_MASTERS, Adopt, Consents, Keep, Prune, ResetQuorumFrom, Rollout, Upgrade
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.spec import ClusterSpec

from . import mischief
from .clusters import MASTER1, MASTER2, MASTER3, WORKER1, WORKER2, a_spec
from .clusters_of_2x import as_2x_made_it, ca8, disks
from .killing import killed_at_every_moment
from .situation import said
from .story import Story, healthy, with_version
from .tool import Run

_SEED = 411
_LOCK = ("POST /placement_groups", "DELETE /placement_groups/")
_LINEAGE = "PATCH /api/v1/namespaces/kube-system/configmaps/hetzner-k3s"
_NOTE = "POST /api/v1/namespaces/kube-system/configmaps"


def told(happens: Callable[[Story], Awaitable[None]], spec: ClusterSpec | None = None) -> None:
    """Tell one story of a cluster that 2.x made, on virtual time."""

    async def play() -> None:
        async with healthy(_SEED, spec) as story:
            await as_2x_made_it(story)
            await happens(story)

    run(play())


async def adopt(story: Story, *, kill_at: int | None = None) -> Run:
    """Adopt the cluster."""
    return await story.create(consents=Consents.of(Adopt(ca8(story.world))), kill_at=kill_at)


async def adopted(story: Story) -> None:
    """Adopt it, and demand that nothing was changed but labels and the lineage."""
    before = disks(story.world)
    ended = await adopt(story)
    assert ended.code in {ExitCode.CONVERGED, ExitCode.PENDING}, ended.story()
    assert disks(story.world) == before, ended.story()
    assert not _beyond_adoption(ended.writes), ended.writes


def _beyond_adoption(writes: Sequence[str]) -> list[str]:
    """Return what was written beside labels, the lineage and the operator lock."""
    return [w for w in writes if not (w.startswith((*_LOCK, "PUT /")) or w == _LINEAGE)]


def test_it_is_told_what_it_is_what_would_be_recorded_and_how() -> None:
    async def happens(story: Story) -> None:
        ended = await story.refuses("cluster.of-2x")
        refusal = said(ended, "cluster.of-2x", f"create --adopt {ca8(story.world)}", "delete none of its servers")
        for name in (MASTER1, MASTER2, MASTER3, WORKER1, WORKER2):
            assert f"{name} " in refusal.saw
        assert refusal.saw.count("host key SHA256:") == 5
        assert story.before.uid in refusal.saw

    told(happens)


def test_what_the_next_run_will_change_is_named_by_the_run_that_adopts() -> None:
    """It ends with 3: nothing of it was brought right, so the cluster is not up to date."""

    async def happens(story: Story) -> None:
        story.wish(replace(story.spec, firewall=replace(story.spec.firewall, api_networks=("192.0.2.0/24",))))
        ended = await adopt(story)
        assert ended.code is ExitCode.PENDING, ended.story()
        assert "not as the file wants them: prod (firewall rules)" in ended.story()
        assert not _beyond_adoption(ended.writes), ended.writes
        await story.create()
        await story.is_converged()

    told(happens)


def test_what_differs_from_the_file_is_told_before_it_is_adopted() -> None:
    async def happens(story: Story) -> None:
        args = replace(story.spec.args, kube_apiserver=("v=2",))
        story.wish(replace(story.spec, args=args))
        ended = await story.refuses("cluster.of-2x")
        assert {(d.subject, d.field) for d in ended.differences} == {
            (name, "kube_api_server_args") for name in (MASTER1, MASTER2, MASTER3)
        }

    told(happens)


def test_adopting_writes_labels_and_the_lineage_and_then_nothing_is_left_to_do() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        assert story.runs[-1].code is ExitCode.CONVERGED
        before = disks(story.world)
        ended = await story.create()
        assert {step for step, _ in ended.told.steps} == {"WriteKubeconfig", "KeepTokens"}, ended.story()
        assert disks(story.world) == before
        ended = await story.create()
        assert not ended.writes, ended.story()
        assert ended.code is ExitCode.CONVERGED
        assert any("stay as hetzner-k3s 2.x applied them" in note for note in ended.notes)

    told(happens)


def test_with_the_digits_of_another_ca_nothing_is_done() -> None:
    async def happens(story: Story) -> None:
        await story.refuses("consent.unfit", consents=Consents.of(Adopt("00000000")))

    told(happens)


def test_known_hosts_that_knows_another_key_forbids_it() -> None:
    async def happens(story: Story) -> None:
        address = story.world.host(MASTER2).spec.public_ipv4 or ""
        story.world.laptop.known_hosts[address] = naming.LABEL_HOST_KEY.replace("/", "").replace("-", "")
        ended = await adopt(story)
        assert ended.refused == ("cluster.of-2x",)
        assert "your known_hosts knows it by" in ended.told.refusals[0].saw
        story.world.laptop.known_hosts[address] = story.world.host(MASTER2).disk.host_key
        await adopted(story)

    told(happens)


def test_a_file_that_no_master_could_join_with_forbids_it() -> None:
    async def happens(story: Story) -> None:
        network = replace(story.spec.kubernetes_network, service_cidr="10.99.0.0/16")
        story.wish(replace(story.spec, kubernetes_network=network))
        ended = await adopt(story)
        assert ended.refused == ("cluster.of-2x",)
        assert not ended.writes
        assert "networking.service_cidr is" in ended.told.refusals[0].saw

    told(happens)


def test_without_quorum_it_is_not_adopted() -> None:
    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(MASTER2), ServerDeleted(MASTER3))
        ended = await adopt(story)
        assert ended.refused == ("cluster.of-2x",), ended.story()
        assert "no master answers as a voter" in ended.told.refusals[0].saw
        assert not ended.writes

    told(happens)


def test_two_clusters_of_its_name_are_not_adopted() -> None:
    async def happens(story: Story) -> None:
        host = story.world.host(MASTER3)
        host.disk.unit_arguments = (*host.disk.unit_arguments[:-1], "--cluster-init")
        await mischief.second_cluster(story.world, MASTER3, keep_tls=True)
        ended = await adopt(story)
        assert ended.refused == ("cluster.of-2x",), ended.story()
        assert "Two clusters answer" in ended.told.refusals[0].saw

    told(happens)


@pytest.mark.parametrize("name", [MASTER1, MASTER2, MASTER3])
def test_a_master_that_is_lost_afterwards_is_replaced(name: str) -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        await story.happens(ServerDeleted(name))
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()
        assert story.world.host(name).disk.config is not None
        await story.is_converged(name)

    told(happens)


def test_a_worker_that_is_lost_afterwards_is_replaced_and_the_rest_untouched() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        before = disks(story.world)
        await story.happens(ServerDeleted(WORKER1))
        await story.create()
        await story.is_converged(WORKER1)
        now = disks(story.world)
        assert {name for name in before if before[name] != now[name]} == {WORKER1}

    told(happens)


def test_it_grows_from_three_masters_to_five_beside_units_by_flags() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        before = disks(story.world)
        story.wish(a_spec(5))
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()
        now = disks(story.world)
        assert not {name for name in before if before[name] != now[name]}
        assert not (await story.create()).writes

    told(happens)


def test_a_rollout_moves_its_hosts_to_a_configuration_file() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        story.wish(replace(story.spec, args=replace(story.spec.args, kube_apiserver=("max-requests-inflight=500",))))
        left = await story.create()
        assert left.code is ExitCode.PENDING, left.story()
        done = await story.create(consents=Consents.of(Rollout(ROLLOUT_MASTERS)))
        assert done.code is ExitCode.CONVERGED, done.story()
        for host in mischief.masters(story.world):
            assert host.disk.unit_arguments == ()
            assert host.disk.server_environment == {}
            assert "max-requests-inflight=500" in (host.disk.config or "")
        assert not story.broken(MASTER1, MASTER2, MASTER3)
        assert not (await story.create()).writes

    told(happens)


def test_an_upgrade_moves_them_too() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        story.wish(with_version(story.spec, "v1.36.4+k3s1"))
        done = await story.create(consents=Consents.of(Upgrade()))
        assert done.code is ExitCode.CONVERGED, done.story()
        assert {host.disk.k3s_version for host in story.world.site.hosts.values()} == {"v1.36.4+k3s1"}
        assert not any(host.disk.unit_arguments for host in story.world.site.hosts.values())
        assert not story.broken(MASTER1, MASTER2, MASTER3, WORKER1, WORKER2)
        assert not (await story.create()).writes

    told(happens)


@pytest.mark.parametrize("name", [MASTER1, MASTER3])
def test_a_lost_quorum_is_reset_to_a_host_by_flags(name: str) -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        lost = sorted({MASTER1, MASTER2, MASTER3} - {name})
        await story.happens(*map(ServerDeleted, lost))
        refused = await story.create()
        assert "quorum.lost" in refused.refused, refused.story()
        ended = await story.create(consents=Consents.of(ResetQuorumFrom(name)))
        assert ended.code is ExitCode.CONVERGED, ended.story()
        assert story.world.host(name).disk.unit_arguments == ()
        assert not story.broken(MASTER1, MASTER2, MASTER3)
        assert not (await story.create()).writes

    told(happens)


def test_a_lost_quorum_is_reset_to_a_host_by_flags_that_is_beyond_the_file() -> None:
    """Seen in storms: the file asked for one master by then, the only one left was another, and that was a crash."""

    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        story.spec = a_spec(1, 1)
        await story.happens(ServerDeleted(MASTER1), ServerDeleted(MASTER2))
        ended = await story.create(consents=Consents.of(ResetQuorumFrom(MASTER3)))
        assert ended.code is ExitCode.CONVERGED, ended.story()
        assert story.world.host(MASTER3).disk.unit_arguments == ()
        pruned = await story.create(consents=Consents.of(Prune()))
        assert pruned.code is ExitCode.CONVERGED, pruned.story()
        assert {server.name for server in story.world.project.servers.values()} == {MASTER1, WORKER1}
        assert not (await story.create()).writes

    told(happens)


def test_a_second_cluster_that_the_unit_of_2x_began_by_itself_is_refused() -> None:
    """Law 3 is kept by us alone: `--cluster-init` on a disk without data, restarted by systemd, asks nobody."""

    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        await story.happens(DatabaseDeleted(MASTER1))
        await mischief.changed(story.world, 60)
        refused = await story.create()
        assert refused.code is ExitCode.REFUSED, refused.story()
        assert "identity.split" in refused.refused, refused.story()
        kept = await story.create(consents=Consents.of(Keep(story.before.uid[:8])))
        assert kept.code is ExitCode.CONVERGED, kept.story()
        assert story.world.host(MASTER1).disk.unit_arguments == ()
        assert not (await story.create()).writes

    told(happens)


def test_a_wiped_first_master_gets_our_unit_before_it_is_started() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        host = story.world.host(MASTER1)
        mischief.server_unit_stopped(host)
        host.disk.remove_database()
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()
        assert host.disk.unit_arguments == ()
        steps = [step for step, target in ended.told.steps if target == MASTER1]
        assert steps.index("InstallK3s") < steps.index("JoinControlPlane")
        await story.is_converged(MASTER1)

    told(happens)


@pytest.mark.parametrize("name", [MASTER1, MASTER2])
def test_a_stopped_master_is_started_as_it_is(name: str) -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        mischief.server_unit_stopped(story.world.host(name))
        ended = await story.create()
        assert ("StartMaster", name) in ended.told.steps, ended.story()
        await story.is_converged(name)
        assert story.world.host(name).disk.config is None

    told(happens)


def test_a_stopped_worker_is_no_half_installed_one() -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        story.world.host(WORKER1).units[K3sRole.AGENT].stop()
        ended = await story.create()
        assert ("StartWorker", WORKER1) in ended.told.steps, ended.story()
        await story.is_converged(WORKER1)

    told(happens)


@pytest.mark.parametrize("name", [MASTER1, WORKER1])
def test_a_host_that_restarts_comes_back_by_itself(name: str) -> None:
    async def happens(story: Story) -> None:
        await adopted(story)
        await story.create()
        await story.happens(Rebooted(name))
        await mischief.servers_run(story.world)
        await story.create()
        await story.is_converged(name)

    told(happens)


def test_s1_a_master_that_was_removed_in_order_is_replaced() -> None:
    async def happens(story: Story) -> None:
        await mischief.remove_member(story.world, MASTER1)
        await mischief.forget_node(story.world, MASTER1)
        await story.happens(ServerDeleted(MASTER1))
        await adopted(story)
        assert story.world.server(MASTER1) is None
        await story.create()
        await story.is_converged(MASTER1)

    told(happens)


@pytest.mark.parametrize("name", [MASTER1, MASTER2])
def test_s2_a_master_deleted_at_hetzner_alone_is_replaced(name: str) -> None:
    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(name))
        await adopted(story)
        assert story.runs[-1].code is ExitCode.PENDING, story.runs[-1].story()
        await story.create()
        await story.is_converged(name)

    told(happens)


def test_s4_a_sick_first_master_holds_nothing_up() -> None:
    async def happens(story: Story) -> None:
        mischief.server_unit_stopped(story.world.host(MASTER1))
        await adopted(story)
        await story.create()
        await story.is_converged(MASTER1)

    told(happens)


def test_s4_nor_does_one_whose_disk_is_broken() -> None:
    async def happens(story: Story) -> None:
        host = story.world.host(MASTER1)
        mischief.server_unit_stopped(host)
        host.disk.remove_database()
        host.disk.server.clear()
        host.disk.token = None
        await adopted(story)
        ended = await story.create()
        assert ended.code is ExitCode.CONVERGED, ended.story()
        await story.is_converged(MASTER1)

    told(happens)


def test_s8_a_master_that_2x_made_and_that_never_joined_is_led_in() -> None:
    async def happens(story: Story) -> None:
        await _made_anew_in_vain(story)
        await adopted(story)
        story.world.site.crash_on_start.clear()
        ended = await story.create()
        assert ("MarkMember", MASTER1) in ended.told.steps, ended.story()
        assert {d.field for d in ended.differences} == {"placement group"}, ended.story()
        assert not story.broken(MASTER1)
        assert not (await story.create()).writes

    told(happens)


async def _made_anew_in_vain(story: Story) -> None:
    """Have master1 be lost, and 2.x make its server anew: k3s there is refused, for its predecessor is still listed."""
    world = story.world
    arguments = world.host(MASTER2).disk.unit_arguments
    environment = dict(world.host(MASTER2).disk.server_environment)
    await story.happens(ServerDeleted(MASTER1))
    mischief.make_server(world, MASTER1, mischief.master_labels())
    await mischief.servers_run(world)
    host = world.host(MASTER1)
    url = f"--server=https://{world.host(MASTER2).addresses[0]}:6443"
    own = {"node-name": host.name, "node-ip": host.addresses[0], "advertise-address": host.addresses[0]}
    kept = [a for a in arguments if a.lstrip("-").partition("=")[0] not in {*own, "server", "node-external-ip"}]
    host.disk.unit_arguments = (*kept, *(f"--{key}={value}" for key, value in own.items()), url)
    host.disk.server_environment = environment
    host.disk.k3s_version = world.host(MASTER2).disk.k3s_version
    host.disk.host_key = "a" * 52
    host.disk.units[K3sRole.SERVER] = True
    host.disk.initialized = True
    host.install_unit(K3sRole.SERVER)
    world.site.crash_on_start[MASTER1] = "duplicate node name found"
    mischief.start(host)
    await mischief.changed(world, 30)


def test_s10_the_only_master_lost_begins_no_second_cluster() -> None:
    async def happens(story: Story) -> None:
        await story.happens(ServerDeleted(MASTER1))
        ended = await story.create()
        assert ended.code is ExitCode.REFUSED, ended.story()
        assert set(ended.refused) == {"birth.not-empty", "resource.foreign"}
        assert not ended.writes
        assert len(story.world.site.births) == 1

    told(happens, a_spec(1))


@pytest.mark.parametrize("name", [MASTER1, WORKER1])
def test_a_server_that_was_off_is_recorded_later_by_the_same_flag(name: str) -> None:
    async def happens(story: Story) -> None:
        await story.happens(PoweredOff(name))
        await adopted(story)
        assert naming.LABEL_HOST_KEY not in story.world.server(name).labels  # type: ignore[union-attr]
        ended = await story.create()
        ended = await story.create()
        assert f"--adopt {ca8(story.world)}" in " ".join(ended.notes), ended.story()
        await adopted(story)
        await story.create()
        await story.is_converged(name)

    told(happens)


def test_a_host_that_is_silent_is_left_out() -> None:
    async def happens(story: Story) -> None:
        await story.happens(SshSilent(WORKER2))
        await adopted(story)
        await story.heals(SshSilent(WORKER2))
        await adopted(story)
        await story.create()
        await story.is_converged()

    told(happens)


def test_an_adoption_killed_at_any_moment_is_gone_on_with() -> None:
    async def killed(kill_at: int | None) -> tuple[list[str], list[str]]:
        async with healthy(_SEED) as story:
            await as_2x_made_it(story)
            first = await adopt(story, kill_at=kill_at)
            if kill_at is not None:
                await adopt(story)
            adopting = [write for run in story.runs[1:] for write in run.writes]
            after = await story.create()  # fills in what a kill left out of the record, and notes that it did
            writes = [*adopting, *(write for write in after.writes if write != _NOTE)]
            broken = story.broken() + _beyond_adoption(writes)
            ended = await story.create()
            assert not ended.writes, ended.story()
            return first.session.moments.passed, broken

    killed_at_every_moment(killed, _SEED, every=9)


@pytest.mark.parametrize("seed", [5, 6])
def test_the_database_of_a_follower_deleted_afterwards(seed: int) -> None:
    async def play() -> None:
        async with healthy(seed) as story:
            await as_2x_made_it(story)
            await adopted(story)
            await story.create()
            await story.happens(DatabaseDeleted(MASTER3))
            ended = await story.create()
            assert ended.code is ExitCode.CONVERGED, ended.story()
            await story.is_converged(MASTER3)

    run(play())
