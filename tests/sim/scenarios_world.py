"""Scenarios 19-31, 72-78: the way to the hosts, the Hetzner API, other operators, the operator's own machine."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.lab.simulated.faults import ApiFault, ServerDeleted, SshCut, SshDenied, SshSilent
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine
from hetzner_k3s.lab.simulated.world import OTHER_TOKEN
from hetzner_k3s.model.errors import ExitCode
from hetzner_k3s.model.spec import ClusterSpec

from . import invariants, mischief
from .clusters import MASTER1, MASTER2, MASTER3, a_spec
from .scenario import Collection, Fails, Told, converges, refuses
from .story import Story
from .tool import Run

WORLD = Collection()
_add = WORLD.add

_MASTERS = (MASTER1, MASTER2, MASTER3)


async def _later(seconds: float, *struck: faults.Fault, story: Story) -> None:
    await asyncio.sleep(seconds)
    await story.happens(*struck)


@_add("19", "ssh-flap-once", converges(MASTER1))
async def _(story: Story) -> Run:
    await story.happens(ServerDeleted(MASTER1))
    flap = asyncio.ensure_future(_later(14, SshCut(MASTER2), story=story))
    run = await story.create()
    await flap
    return run


@_add("20", "ssh-flap-mid-plan", converges(MASTER1))
async def _(story: Story) -> Run:
    """Every connection breaks every few seconds."""
    await story.happens(ServerDeleted(MASTER1))

    async def flap() -> None:
        while True:
            await asyncio.sleep(3)
            for host in story.world.site.hosts.values():
                host.ssh.cut()

    flapping = asyncio.ensure_future(flap())
    await story.create()
    flapping.cancel()
    return await story.create()


@_add("21", "ssh-auth-denied-all", refuses("host.denied", "host.denied", "host.denied", "masters.none-healthy"))
async def _(story: Story) -> None:
    await story.happens(*(SshDenied(name) for name in _MASTERS))


@_add("22", "firewall-cuts-operator", converges(MASTER1))
async def _(story: Story) -> Run:
    """Rules change in the middle of a run; when they are right again, the next run goes on."""
    await story.happens(ServerDeleted(MASTER1))
    silence = [SshSilent(MASTER2), SshSilent(MASTER3)]
    cutting = asyncio.ensure_future(_later(20, *silence, story=story))
    cut = await story.create()
    await cutting
    assert cut.code is not ExitCode.CONVERGED, cut.story()
    await story.heals(*silence)
    return await story.create()


@_add("23", "hcloud-500-listing", refuses("listing.incomplete"))
async def _(story: Story) -> None:
    await story.happens(ApiFault("error", method="GET", path="/servers", times=None))


@_add("24", "page-2-missing", refuses("listing.incomplete"))
async def _(story: Story) -> None:
    await story.happens(ApiFault("incomplete_page", method="GET", path="/servers", times=None))


@_add("25", "wrong-project-token", refuses("birth.kubeconfig", "birth.journal"))
async def _(story: Story) -> Run:
    return await story.create(token=OTHER_TOKEN)


@_add("26", "create-timeout-after-success", converges(MASTER1))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1), ApiFault("drop", method="POST", path="/servers"))


@_add("27", "create-capacity-error", Fails("resource_unavailable"))
async def _(story: Story) -> None:
    await story.happens(ServerDeleted(MASTER1), ApiFault("unavailable"))


@_add("28", "action-failed-attach-network", converges(MASTER1))
async def _(story: Story) -> Run:
    """The server's action fails and leaves a server that never ran; its owner deletes it."""
    await story.happens(ServerDeleted(MASTER1))
    story.world.machines.broken = True
    failed = await story.create()
    assert failed.code is not ExitCode.CONVERGED, failed.story()
    story.world.machines.broken = False
    broken = story.world.server(MASTER1)
    assert broken is not None
    faults.ask(story.world, "DELETE", f"/servers/{broken.id}")
    await faults.until(lambda: story.world.server(MASTER1) is None, "its end")
    return await story.create()


@_add("30", "two-operators", converges(MASTER1))
async def _(story: Story) -> Run:
    await story.happens(ServerDeleted(MASTER1))
    first, second = await asyncio.gather(story.create(), story.create(machine=OperatorMachine("other")))
    codes = {first.code, second.code}
    assert codes == {ExitCode.CONVERGED, ExitCode.REFUSED}, f"{first.story()}\n{second.story()}"
    return first if first.code is ExitCode.CONVERGED else second


@_add("31", "stale-lock", converges(MASTER1))
async def _(story: Story) -> Run:
    """The holder died on another machine: its lock is watched for a lease, then taken over."""
    await story.happens(ServerDeleted(MASTER1))
    killed = await story.create(kill_at=8, machine=OperatorMachine("other"))
    assert killed.code is None
    run = await story.create()
    assert any("taken over" in line for line in run.told.lines), run.story()
    return run


def _watch_targets(story: Story, seen: list[str]) -> None:
    """Note every target of the API load balancer that is no voter."""
    voters = {m.name.rpartition("-")[0] for m in mischief.etcd(story.world).data.voters}
    for spec in story.world.site.balancers.values():
        names = {story.world.project.servers[t.server_id].name for t in spec.targets}
        seen += sorted(names - voters)


@_add("72", "LB-not-mixed", converges(MASTER2), spec=a_spec(load_balancer=True))
async def _(story: Story) -> Run:
    await story.happens(ServerDeleted(MASTER2))
    await mischief.election_over(story.world)
    seen: list[str] = []

    async def watch() -> None:
        while True:
            await asyncio.sleep(1)
            _watch_targets(story, seen)

    watching = asyncio.ensure_future(watch())
    run = await story.create()
    watching.cancel()
    assert not seen, f"targets that do not vote: {seen}"
    return run


@_add("73", "kubeconfig-kept-on-failure", Told())
async def _(story: Story) -> Run:
    kubeconfig = story.world.laptop.kubeconfig
    await story.happens(ServerDeleted(MASTER1), ApiFault("unavailable"))
    run = await story.create()
    assert run.code is not ExitCode.CONVERGED
    assert story.world.laptop.kubeconfig == kubeconfig
    return run


@_add("75", "server-ref-to-dead-first", converges(MASTER1))
async def _(story: Story) -> Run:
    """No master's `config.yaml` points to a host that is gone, and no k3s was started anew for that.

    Agents remember the living masters by themselves (docs/facts/k3s.md#agent-load-balancer), so theirs is left.
    Somebody's server takes the dead master's address meanwhile: else its successor gets it, and every line is right.
    """
    await story.happens(ServerDeleted(MASTER1))
    mischief.make_server(story.world, "somebodys-worker", {})
    await mischief.servers_run(story.world)
    run = await story.create()
    await story.happens(ServerDeleted("somebodys-worker"))
    addresses = {address for host in story.world.site.hosts.values() for address in host.addresses}
    for host in (story.world.host(name) for name in story.spec.master_names):
        server = host.disk.facts().config_server or ""
        assert server.removeprefix("https://").partition(":")[0] in addresses, f"{host.name} points to {server}"
    return run


def _in_three_locations() -> ClusterSpec:
    spec = a_spec()
    places = zip(spec.masters, ("fsn1", "nbg1", "hel1"), strict=True)
    return replace(spec, masters=tuple(replace(master, location=place) for master, place in places))


@_add("76", "masters-3-locations, one location down", Fails("resource_unavailable"), spec=_in_three_locations())
async def _(story: Story) -> Run:
    await story.happens(ServerDeleted(MASTER3))
    await story.happens(ApiFault("unavailable"))
    run = await story.create()
    data = invariants.leading_data(story.world)
    assert data is not None
    assert len(data.voters) == 3, "the dead member was removed although nobody can take its place"
    return run


@_add("78", "no-op-run x3", converges())
async def _(story: Story) -> None:
    for _ in range(3):
        run = await story.create()
        assert not invariants.second_run(run)
        assert not story.broken()
