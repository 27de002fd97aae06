"""A deletion that cannot be ended is not begun: what is protected, what others use, what was cut off halfway."""

from __future__ import annotations

import json

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import Consents
from hetzner_k3s.model.errors import ExitCode

from . import mischief, used_by_servers
from .clusters import MASTER1, WORKER1, a_spec
from .scenario import Told
from .situation import Situations, said
from .story import Story
from .tool import NONE_GIVEN, Run
from .used_by_servers import ALL_GOES, BALANCER, BY_HAND, VOLUME, left_behind

DELETION = Situations("deletion")
_tell = DELETION.tell

_HALFWAY = "before DELETE /servers/{id}"
"""The moment of a deletion at which its record is written and no server is gone yet."""


async def _protect(story: Story, kind: str, name: str, *, protected: bool) -> None:
    """Set or lift the protection of a resource, as its owner does in Hetzner's console."""
    found = next(r for r in getattr(story.world.project, kind).values() if r.name == name)
    body = json.dumps({"delete": protected} | ({"rebuild": protected} if kind == "servers" else {})).encode()
    field = "delete_protected" if kind == "servers" else "protected"
    path = f"/{kind}/{found.id}/actions/change_protection"
    await faults.insist(story.world, "POST", path, lambda: getattr(found, field) == protected, body)


async def _refused(story: Story, *codes: str, consents: Consents = NONE_GIVEN) -> Run:
    """Demand that the deletion is refused with these codes, and that nothing of the project is changed by it."""
    before = _left(story)
    run = await story.delete(consents=consents)
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == codes, run.story()
    assert not run.writes, run.story()
    assert _left(story) == before
    return run


def _left(story: Story) -> list[str]:
    project = story.world.project
    kinds = (project.servers, project.networks, project.firewalls, project.placement_groups)
    return sorted([*(resource.name for kind in kinds for resource in kind.values()), *left_behind(story.world)])


async def _all_goes(story: Story, *others: str, consents: Consents = NONE_GIVEN) -> Run:
    run = await story.delete(consents=consents)
    assert run.code is ExitCode.CONVERGED, run.story()
    assert _left(story) == sorted(others), run.story()
    return run


@_tell("protected-resources-are-all-named-before-anything-is-gone", Told(), spec=a_spec(load_balancer=True))
async def _(story: Story) -> Run:
    """Servers went one by one until Hetzner refused the protected one: no quorum, and a record that says deleting."""
    protected = [("servers", MASTER1), ("networks", "prod"), ("load_balancers", "prod-api")]
    for kind, name in protected:
        await _protect(story, kind, name, protected=True)
    refused = said(
        await _refused(story, "delete.protected"), "delete.protected", "lift the protection", "hcloud server"
    )
    assert all(name in refused.saw for _, name in protected), refused.saw
    for kind, name in protected:
        await _protect(story, kind, name, protected=False)
    return await _all_goes(story)


@_tell("a-firewall-on-somebody-elses-server-stops-the-deletion", Told())
async def _(story: Story) -> Run:
    """It is neither deleted nor taken off that server, which would open it to the internet."""
    mischief.make_server(story.world, "theirs", {})
    await mischief.servers_run(story.world)
    theirs = story.world.server("theirs")
    firewall = next(iter(story.world.project.firewalls.values()))
    assert theirs is not None
    applied = [{"type": "server", "server": {"id": theirs.id}}]
    path = f"/firewalls/{firewall.id}/actions"
    on = json.dumps({"apply_to": applied}).encode()
    await faults.insist(story.world, "POST", f"{path}/apply_to_resources", lambda: theirs.id in firewall.servers, on)
    refused = said(await _refused(story, "delete.in-use"), "delete.in-use", "a firewall of its own")
    assert f"theirs (id {theirs.id})" in refused.saw
    assert firewall.servers == [theirs.id]
    off = json.dumps({"remove_from": applied}).encode()
    await faults.insist(story.world, "POST", f"{path}/remove_from_resources", lambda: not firewall.servers, off)
    return await _all_goes(story, "prod", "theirs")  # the network stays: it is attached


@_tell("a-deletion-that-was-stopped-halfway-by-a-protection-goes-on", Told())
async def _(story: Story) -> Run:
    """What was protected after the deletion had begun is told, and once that is lifted the rest goes too."""
    killed = await story.delete(kill_at=_HALFWAY)
    assert killed.code is None, killed.story()
    await _protect(story, "servers", MASTER1, protected=True)
    refused = said(await _refused(story, "delete.protected"), "delete.protected", "Lift the protection")
    assert "nothing more is deleted" in refused.why
    assert "deleted nothing" not in refused.why
    said(await story.refuses("cluster.deleting"), "cluster.deleting", "with the same flags")
    await _protect(story, "servers", MASTER1, protected=False)
    return await _all_goes(story)


async def _used_by_servers(story: Story) -> int:
    """Make a volume and a load balancer as Kubernetes does, and give the volume's id."""
    used_by_servers.make_balancer(story.world, WORKER1)
    return await used_by_servers.make_volume(story.world, at=WORKER1)


@_tell("what-kubernetes-made-stays-and-is-named-unless-its-flag-is-given", Told())
async def _(story: Story) -> Run:
    """A volume is data, and a load balancer an address that somebody's DNS names."""
    number = await _used_by_servers(story)
    run = await _all_goes(story, VOLUME, BALANCER)
    volume = story.world.project.volumes[number]
    assert volume.server is None
    assert naming.LABEL_GOES_WITH not in volume.labels
    told = "\n".join(run.notes)
    assert f"volume {VOLUME} (id {number}, 10 GB, of default/data) stays" in told
    assert "goes too with --with-volumes" in told
    assert f"load balancer {BALANCER}" in told
    assert "goes too with --with-load-balancers" in told
    return run


@_tell("what-kubernetes-made-goes-with-its-flags-and-nothing-else", Told())
async def _(story: Story) -> Run:
    """One detached volume is this cluster's, as its API tells; another cluster's CSI driver made the other."""
    await _used_by_servers(story)
    detached = await used_by_servers.make_volume(story.world, "pvc-detached")
    await used_by_servers.name_volume(story.world, detached)
    theirs = await used_by_servers.make_volume(story.world, "pvc-theirs")
    await used_by_servers.make_volume(story.world, "backup", at=WORKER1, labels=BY_HAND)
    run = await _all_goes(story, "pvc-theirs", "backup", consents=ALL_GOES)
    left, by_hand = (next(note for note in run.notes if name in note) for name in ("pvc-theirs", "backup"))
    assert f"volume pvc-theirs (id {theirs}, 10 GB, of default/data) stays, with all data" in left
    assert "named by no PersistentVolume here" in left
    assert "not made by Kubernetes" in by_hand
    return run


@_tell("a-protected-volume-stops-a-deletion-that-would-take-it", Told())
async def _(story: Story) -> Run:
    await _used_by_servers(story)
    await _protect(story, "volumes", VOLUME, protected=True)
    said(await _refused(story, "delete.protected", consents=ALL_GOES), "delete.protected", "hcloud volume")
    await _protect(story, "volumes", VOLUME, protected=False)
    return await _all_goes(story, consents=ALL_GOES)


@_tell("a-volume-whose-servers-are-gone-already-is-still-known-by-its-mark", Told())
async def _(story: Story) -> Run:
    number = await _used_by_servers(story)
    killed = await story.delete(kill_at="before DELETE /volumes/{id}", consents=ALL_GOES)
    assert killed.code is None, killed.story()
    assert not story.world.project.servers
    assert naming.LABEL_GOES_WITH in story.world.project.volumes[number].labels
    return await _all_goes(story, consents=ALL_GOES)
