"""Placement groups (docs/facts/hetzner-api.md#placement-groups)."""

from __future__ import annotations

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import PlacementGroup
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request
from hetzner_k3s.lab.cloud.requests.errors import ApiError, limit_exceeded
from hetzner_k3s.lab.cloud.requests.fields import JsonObject


def view(project: Project, group: PlacementGroup) -> JsonObject:
    """Return the JSON object of a group."""
    return {
        "id": group.id,
        "name": group.name,
        "labels": group.labels,
        "type": "spread",
        "created": moment(group.created),
        "servers": members(project, group),
    }


KIND: Kind[PlacementGroup] = Kind(
    "placement_group", "placement_groups", lambda project: project.placement_groups, view, {"type": lambda *_: "spread"}
)


def members(project: Project, group: PlacementGroup) -> list[int]:
    """Return the ids of the servers in a group."""
    return [server.id for server in project.servers.values() if server.placement_group is group]


def require_room(project: Project, group: PlacementGroup) -> None:
    """Refuse an eleventh member."""
    if len(members(project, group)) >= limits.MEMBERS_PER_PLACEMENT_GROUP:
        message = f"placement group with ID {group.id} contains already {limits.MEMBERS_PER_PLACEMENT_GROUP} servers"
        raise ApiError("placement_group_member_limit_reached", message)


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    name, labels = body.text("name", 255), body.labels()
    body.choice("type", ("spread",))
    require_unique(name, project.placement_groups.values(), "name")
    if len(project.placement_groups) >= project.world.quotas.placement_groups:
        raise limit_exceeded("placement group limit exceeded", "placement_group_limit")
    group = PlacementGroup(id=project.world.ids.next(), name=name, created=project.world.clock.now(), labels=labels)
    project.placement_groups[group.id] = group
    return KIND.answer(201, project, group, action=None)


def _update(request: Request) -> Answer:
    return KIND.answer(200, request.project, KIND.rename_and_label(request))


def _delete(request: Request) -> Answer:
    group = KIND.find(request)
    if members(request.project, group):
        raise ApiError("resource_in_use", "placement group still contains servers")
    del request.project.placement_groups[group.id]
    return Answer(204, None)


ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/placement_groups", _create),
    Endpoint("PUT", "/placement_groups/{id}", _update),
    Endpoint("DELETE", "/placement_groups/{id}", _delete),
)
