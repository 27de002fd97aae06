"""A deletion that cannot be ended is not begun: what is protected, what others use, what was cut off halfway."""

from __future__ import annotations

import json

from hetzner_k3s.lab.simulated import faults
from hetzner_k3s.model.errors import ExitCode

from . import mischief
from .clusters import MASTER1, a_spec
from .scenario import Told
from .situation import Situations, said
from .story import Story
from .tool import Run

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


async def _refused(story: Story, *codes: str) -> Run:
    """Demand that the deletion is refused with these codes, and that nothing of the project is changed by it."""
    before = _left(story)
    run = await story.delete()
    assert run.code is ExitCode.REFUSED, run.story()
    assert run.refused == codes, run.story()
    assert not run.writes, run.story()
    assert _left(story) == before
    return run


def _left(story: Story) -> list[str]:
    project = story.world.project
    kinds = (project.servers, project.networks, project.firewalls, project.placement_groups, project.load_balancers)
    return sorted(resource.name for kind in kinds for resource in kind.values())


async def _all_goes(story: Story, *others: str) -> Run:
    run = await story.delete()
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
    said(await _refused(story, "delete.protected"), "delete.protected", "lift the protection")
    await story.refuses("cluster.deleting")
    await _protect(story, "servers", MASTER1, protected=False)
    return await _all_goes(story)
