"""What joins: when it has joined, what it still waits for, and what passes by itself meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hetzner_k3s.lab.k3s.api.resources import NODES
from hetzner_k3s.lab.k3s.node.initialization import PATIENCE
from hetzner_k3s.lab.k3s.node.node_object import UNINITIALIZED
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.spec import AddonsSpec, BootSpec, ClusterSpec, ComponentArgs

from . import mischief
from .clusters import MASTER1, MASTER3, WORKER1, a_spec
from .scenario import Told, converges
from .situation import PRUNE, Situations, born, gone
from .story import Story
from .tool import Run

JOINING = Situations("joining")
_tell = JOINING.tell

_LEFT = "no cloud controller has taken the taint"


def _without_controller(spec: ClusterSpec | None = None) -> ClusterSpec:
    return replace(spec or a_spec(), addons=AddonsSpec(cloud_controller_manager=False))


async def _tainted(story: Story) -> list[str]:
    nodes, _ = await mischief.store(story.world).list(NODES)
    return [n["metadata"]["name"] for n in nodes if UNINITIALIZED in str(n["spec"].get("taints"))]


@_tell("the-file-has-no-cloud-controller", born(), spec=_without_controller())
async def _(story: Story) -> None:
    """Nobody would initialize the Nodes, so no kubelet waits for that: all is active, and stays so."""
    assert await _tainted(story) == []
    await asyncio.sleep(PATIENCE + 60)
    restarts = [unit.facts().restarts for host in story.world.site.hosts.values() for unit in host.units.values()]
    assert set(restarts) == {0}
    await gone(story)


@_tell("the-cloud-controller-is-slow", converges(WORKER1))
async def _(story: Story) -> Run:
    """A worker has joined when its Node is Ready; its agent is active only when the controller has seen it."""
    await story.happens(ServerDeleted(WORKER1))
    story.world.site.cloud_controller_after = 90.0
    run = await story.create()
    joined = next(line for line in run.told.lines if "JoinWorker " in line and " done after " in line)
    waited = next(line for line in run.told.lines if "waiting for the cloud controller to initialize" in line)
    assert float(joined.rpartition("after ")[2].removesuffix(" s")) < 30, run.story()
    assert run.told.lines.index(joined) < run.told.lines.index(waited), run.story()
    return run


@_tell("the-cloud-controller-does-not-come", Told())
async def _(story: Story) -> Run:
    """Its image cannot be pulled, say: the worker has joined all the same, and what is missing is said each time."""
    await story.happens(ServerDeleted(WORKER1))
    story.world.site.cloud_controller_after = float("inf")
    run = await story.create()
    assert run.code is ExitCode.PENDING, run.story()
    assert f"{WORKER1}: joined, but {_LEFT}" in run.story()
    await asyncio.sleep(PATIENCE)
    assert story.world.host(WORKER1).units[K3sRole.AGENT].facts().restarts > 0
    again = await story.create()
    assert again.code is ExitCode.PENDING, again.story()
    assert again.told.forecast is not None
    assert _LEFT in again.told.forecast.degraded[0]
    assert not again.writes, again.story()
    story.world.site.cloud_controller_after = 0.0
    await asyncio.sleep(60)
    run = await story.create()
    await story.is_converged(WORKER1)
    return run


@_tell("the-cloud-controller-is-switched-off-on-nodes-that-wait-for-it", Told())
async def _(story: Story) -> Run:
    """What an earlier run left waiting is told, with what takes it off; a worker made now waits for nobody."""
    await story.happens(ServerDeleted(WORKER1))
    story.world.site.cloud_controller_after = float("inf")
    await story.create()
    story.wish(_without_controller(story.spec))
    run = await story.create()
    assert run.code is ExitCode.PENDING, run.story()
    assert run.told.forecast is not None
    assert f"kubectl taint node {WORKER1} {UNINITIALIZED}-" in run.told.forecast.degraded[0]
    assert run.notes[-1].startswith("addons.cloud_controller_manager is off, but Nodes have the provider ids")
    await mischief.take_taint_off(story.world, WORKER1)
    run = await story.create()
    assert (run.code, run.writes, run.told.steps) == (ExitCode.PENDING, [], []), run.story()
    assert {(one.field, one.remedy) for one in run.differences} == {
        ("kubelet_args", Remedy.RESTART),
        ("addons.cloud_controller_manager.enabled", Remedy.APPLY),
    }
    assert not story.broken(WORKER1)
    return run


@_tell("the-cloud-controller-is-of-the-users-own", Told())
async def _(story: Story) -> Run:
    """Kubelets wait for it where the file's own arguments say so; the tool installs none, and its own goes."""
    story.wish(replace(_without_controller(story.spec), args=ComponentArgs(kubelet=("cloud-provider=external",))))
    await story.happens(ServerDeleted(WORKER1))
    left = await story.create()
    assert [one.field for one in left.differences] == ["addons.cloud_controller_manager.enabled"]
    run = await story.create(consents=PRUNE)
    assert (run.code, run.told.steps) == (ExitCode.CONVERGED, [("RemoveAddon", CLOUD_CONTROLLER)]), run.story()
    config = story.world.host(WORKER1).disk.config or ""
    assert config.count("cloud-provider=external") == 1
    assert await _tainted(story) == []
    await story.is_converged(WORKER1)
    return run


@_tell("what-passes-is-waited-for", converges(MASTER1))
async def _(story: Story) -> Run:
    """For a while after its start an API answers that its storage is being initialized: no step fails of that."""
    story.world.site.timing = replace(story.world.site.timing, storage=8.0)
    await story.happens(ServerDeleted(MASTER1))
    run = await story.create()
    assert "FAILED" not in run.story(), run.story()
    return run


@_tell("what-passes-at-a-birth-is-waited-for", born())
async def _(story: Story) -> Run:
    """Nobody was lost, so no lost machine is spoken of either."""
    await gone(story)
    story.world.site.timing = replace(story.world.site.timing, storage=20.0)
    run = await story.create()
    assert "FAILED" not in run.story(), run.story()
    assert "lost machines" not in run.story()
    return run


@_tell("one-joins-by-itself-under-the-run", converges(MASTER3))
async def _(story: Story) -> Run:
    """Its k3s was about to be started anew, since it held no data; by then it is a member, which is no failure."""
    host = story.world.host(MASTER3)
    mischief.server_unit_stopped(host)
    host.disk.remove_database()
    await mischief.remove_member(story.world, MASTER3)
    await asyncio.sleep(30)
    mischief.start(host)
    lagging = asyncio.ensure_future(_lags(host, "WriteConfig", by=6.0))
    run = await story.create()
    await lagging
    assert "FAILED" not in run.story(), run.story()
    assert "by itself meanwhile" in run.story()
    host.ssh.lag = 0.0
    return run


async def _lags(host: Host, operation: str, *, by: float) -> None:
    """Let a host begin each operation so much later, from the moment on that it works on a first one."""
    while (last := host.disk.operation) is None or not (last.running and last.name == operation):
        await host.changed(0.05)
    host.ssh.lag = by


_COMMANDS = BootSpec(pre_k3s_commands=("mkfs.ext4 /dev/sdb",), post_k3s_commands=("echo joined",))


def _with_commands(spec: ClusterSpec) -> ClusterSpec:
    pools = tuple(replace(p, workers=tuple(replace(w, boot=_COMMANDS) for w in p.workers)) for p in spec.pools)
    return replace(spec, pools=pools)


@_tell("a-command-of-the-file-failed-on-a-host", Told(), spec=_with_commands(a_spec()))
async def _(story: Story) -> Run:
    """It stops nothing, but the cluster is not what the file asks for: said by each run until it is put right."""
    story.world.site.failing_commands[WORKER1] = "additional_pre_k3s_commands 1 of 1 failed (exit 1): no such disk"
    await story.happens(ServerDeleted(WORKER1))
    run = await story.create()
    assert run.code is ExitCode.PENDING, run.story()
    assert f"{WORKER1}: additional_pre_k3s_commands 1 of 1 failed (exit 1): no such disk." in run.story()
    again = await story.create()
    assert again.code is ExitCode.PENDING, again.story()
    assert not again.writes, again.story()
    story.world.host(WORKER1).disk.failed_commands.clear()
    run = await story.create()
    await story.is_converged(WORKER1)
    return run


@_tell("commands-after-k3s-are-waited-for", converges(WORKER1), spec=_with_commands(a_spec()))
async def _(story: Story) -> Run:
    """They run when k3s was started, as 2.6 does at the end of its installation."""
    await story.happens(ServerDeleted(WORKER1))
    story.world.site.cloud_controller_after = 60.0
    run = await story.create()
    assert not story.world.host(WORKER1).disk.commands_wait
    assert f"additional_post_k3s_commands on {WORKER1}" in run.story()
    return run
