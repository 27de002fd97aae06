"""Volumes and their actions (docs/facts/hetzner-api.md#volumes)."""

from __future__ import annotations

import re

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.actions import Action, Subject
from hetzner_k3s.lab.cloud.actions import view as action_view
from hetzner_k3s.lab.cloud.kernel import Process
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import Server, Volume
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request, one_action
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input, limit_exceeded
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject
from hetzner_k3s.lab.cloud.resources import server_view
from hetzner_k3s.lab.cloud.resources.catalogue import Location

_FORMATS = ("ext4", "xfs")
_NAME_LENGTH = 64
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?\Z", re.ASCII)


def view(_: Project, volume: Volume) -> JsonObject:
    """Return the JSON object of a volume."""
    return {
        "id": volume.id,
        "name": volume.name,
        "created": moment(volume.created),
        "labels": volume.labels,
        "server": volume.server if volume.attached else None,
        "location": volume.location.view(),
        "size": volume.size,
        "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{volume.id}",
        "protection": {"delete": volume.protected},
        "status": volume.status,
        "format": volume.format,
    }


KIND: Kind[Volume] = Kind(
    "volume", "volumes", lambda project: project.volumes, view, {"status": lambda _, volume: volume.status}
)


def choose(project: Project, numbers: list[int], location: Location) -> list[Volume]:
    """Return the volumes for a new server, checked for location, use and number."""
    if len(numbers) > limits.VOLUMES_PER_SERVER:
        raise _too_many()
    found = [KIND.get(project, number) for number in numbers]
    for volume in found:
        _require_attachable(project, volume, location, "volumes")
    return found


def attach(project: Project, volume: Volume, server: Server) -> Process:
    """Show a volume at its server, unless one of the two has left the other meanwhile."""
    yield project.world.pause("attach_volume")
    volume.attached = volume.server == server.id


def release(project: Project, server: Server) -> None:
    """Let go of a deleted server's volumes: they stay with their data."""
    for volume in project.volumes.values():
        if volume.server == server.id:
            _part(volume)


def _part(volume: Volume) -> None:
    volume.server, volume.attached = None, False


def _subject(volume: Volume) -> Subject:
    return ("volume", volume.id)


def _too_many() -> ApiError:
    return ApiError("limit_exceeded_error", f"a server takes {limits.VOLUMES_PER_SERVER} volumes")


def _require_unlocked(project: Project, volume: Volume) -> None:
    """Refuse while any action of the volume runs, those that its server does (attach, detach) too."""
    if any(action.running for action in project.actions.of(_subject(volume))):
        raise ApiError("locked", "cannot perform operation because volume is locked")


def _unlocked(request: Request) -> Volume:
    volume = KIND.find(request)
    _require_unlocked(request.project, volume)
    return volume


def _require_attachable(project: Project, volume: Volume, location: Location, field: str) -> None:
    _require_unlocked(project, volume)
    if volume.server is not None:
        raise ApiError("volume_already_attached", "volume is already attached to a server")
    if volume.location.name != location.name:
        raise invalid_input(field, "the volume and the server must be in the same location")


def _host_of(project: Project, number: int) -> Server:
    """Return a server that can take one more volume now."""
    server = server_view.KIND.get(project, number)
    project.require_unlocked(("server", server.id))
    if sum(volume.server == server.id for volume in project.volumes.values()) >= limits.VOLUMES_PER_SERVER:
        raise _too_many()
    return server


def _named(body: Body) -> str:
    name = body.text("name", _NAME_LENGTH)
    if not _NAME.match(name):
        raise invalid_input("name", "may have letters, digits, dashes, underscores and dots, the first two at its ends")
    return name


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    require_unique(_named(body), project.volumes.values(), "volume name")
    if len(project.volumes) >= project.world.quotas.volumes:
        raise limit_exceeded("volume limit exceeded", "volume_limit")
    number = body.optional_integer("server")
    server = None if number is None else _host_of(project, number)
    if server is None and body.flag("automount", False):
        raise invalid_input("automount", "needs a server")
    volume = _read(project, body, server)
    project.volumes[volume.id] = volume
    making = project.actions.begin("create_volume", _subject(volume))
    followers: list[Action] = []
    works = [project.actions.carry_out(making, _appear(project, volume))]
    if server is not None:
        followers.append(project.actions.begin("attach_volume", ("server", server.id), _subject(volume)))
        works.append(project.actions.carry_out(followers[0], attach(project, volume, server)))
    project.world.timeline.start(_in_order(works), owner=volume.id)
    following = [action_view(action) for action in followers]
    return KIND.answer(201, project, volume, action=action_view(making), next_actions=following)


def _read(project: Project, body: Body, server: Server | None) -> Volume:
    size, labels = body.integer("size", limits.LEAST_VOLUME_GB, limits.MOST_VOLUME_GB), body.labels()
    format_ = body.choice("format", _FORMATS) if body.has("format") else None
    return Volume(
        id=project.world.ids.next(),
        name=_named(body),
        created=project.world.clock.now(),
        labels=labels,
        location=_read_location(project, body, server),
        size=size,
        format=format_,
        server=None if server is None else server.id,
    )


def _read_location(project: Project, body: Body, server: Server | None) -> Location:
    wanted = body.optional_reference("location")
    if wanted is None and server is None:
        raise invalid_input("location", "a location or a server is needed")
    if wanted is None and server is not None:
        return server.location
    location = project.world.catalogue.location(wanted or "")
    if server is not None and server.location.name != location.name:
        raise invalid_input("location", "the volume and the server must be in the same location")
    return location


def _in_order(works: list[Process]) -> Process:
    for work in works:
        yield from work


def _appear(project: Project, volume: Volume) -> Process:
    yield project.world.pause("create_volume")
    volume.status = "available"


def _update(request: Request) -> Answer:
    if request.body.has("name"):
        _named(request.body)
    return KIND.answer(200, request.project, KIND.rename_and_label(request, "volume name", _NAME_LENGTH))


def _delete(request: Request) -> Answer:
    volume = _unlocked(request)
    if volume.protected:
        raise ApiError("protected", "volume is protected against deletion")
    if volume.server is not None:
        raise ApiError("locked", "cannot perform operation because volume is still attached to a server")
    del request.project.volumes[volume.id]
    return Answer(204, None)


def _attach(request: Request) -> Answer:
    project, volume = request.project, _unlocked(request)
    server = _host_of(project, request.body.integer("server"))
    request.body.flag("automount", False)
    _require_attachable(project, volume, server.location, "server")
    volume.server = server.id
    return _begin(project, "attach_volume", attach(project, volume, server), volume, server.id)


def _detach(request: Request) -> Answer:
    project, volume = request.project, _unlocked(request)
    if volume.server is None:
        raise ApiError("volume_not_attached", "volume is not attached to a server")
    project.require_unlocked(("server", volume.server))

    def work() -> Process:
        yield project.world.pause("detach_volume")
        _part(volume)

    return _begin(project, "detach_volume", work(), volume, volume.server)


def _begin(project: Project, command: str, work: Process, volume: Volume, server: int) -> Answer:
    """Begin what the server does: it is locked meanwhile, and its deletion ends the action."""
    return one_action(201, project.begin(command, work, ("server", server), _subject(volume), owner=server))


def _resize(request: Request) -> Answer:
    project, volume = request.project, _unlocked(request)
    size = request.body.integer("size", volume.size + 1, limits.MOST_VOLUME_GB)

    def work() -> Process:
        yield project.world.pause("resize_volume")
        volume.size = size

    return one_action(201, project.begin("resize_volume", work(), _subject(volume)))


def _change_protection(request: Request) -> Answer:
    project, volume = request.project, _unlocked(request)
    protected = request.body.flag("delete", volume.protected)

    def work() -> Process:
        yield project.world.pause("change_protection")
        volume.protected = protected

    return one_action(201, project.begin("change_protection", work(), _subject(volume)))


_ACTIONS = {"attach": _attach, "detach": _detach, "resize": _resize, "change_protection": _change_protection}

ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/volumes", _create),
    Endpoint("PUT", "/volumes/{id}", _update),
    Endpoint("DELETE", "/volumes/{id}", _delete),
    *(Endpoint("POST", f"/volumes/{{id}}/actions/{name}", handler) for name, handler in _ACTIONS.items()),
)
