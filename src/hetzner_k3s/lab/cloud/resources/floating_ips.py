"""Floating IPs: public addresses that are moved between servers (docs/facts/hetzner-api.md#floating-ips)."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.actions import Subject
from hetzner_k3s.lab.cloud.actions import view as action_view
from hetzner_k3s.lab.cloud.kernel import Process
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import FloatingIp, Server
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request, one_action
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input, limit_exceeded, not_emulated
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject
from hetzner_k3s.lab.cloud.resources import server_view
from hetzner_k3s.lab.cloud.resources.catalogue import Location
from hetzner_k3s.lab.cloud.resources.primary_ips import reverse_name


def view(_: Project, address: FloatingIp) -> JsonObject:
    """Return the JSON object of an address."""
    return {
        "id": address.id,
        "name": address.name,
        "description": address.description,
        "created": moment(address.created),
        "labels": address.labels,
        "ip": address.ip,
        "type": address.type,
        "server": address.server,
        "dns_ptr": [{"ip": address.ip, "dns_ptr": reverse_name(address.ip)}] if address.type == "ipv4" else [],
        "home_location": address.location.view(),
        "blocked": False,
        "protection": {"delete": address.protected},
    }


KIND: Kind[FloatingIp] = Kind("floating_ip", "floating_ips", lambda project: project.floating_ips, view)


def release(project: Project, server: Server) -> None:
    """Let go of a deleted server's addresses: they stay, assigned to nobody."""
    for address in project.floating_ips.values():
        if address.server == server.id:
            address.server = None


def _subject(address: FloatingIp) -> Subject:
    return ("floating_ip", address.id)


def _unlocked(request: Request) -> FloatingIp:
    address = KIND.find(request)
    request.project.require_unlocked(_subject(address))
    return address


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    name, number = body.optional_text("name"), body.optional_integer("server")
    if name is not None:
        require_unique(name, project.floating_ips.values(), "name")
    if len(project.floating_ips) >= project.world.quotas.floating_ips:
        raise limit_exceeded("Floating IP limit exceeded", "floating_ip_limit")
    server = None if number is None else server_view.KIND.get(project, number)
    address = _read(project, body, _home(project, body, server))
    project.floating_ips[address.id] = address
    if server is None:
        return KIND.answer(201, project, address)
    action = project.begin("assign_floating_ip", _assign_to(project, address, server.id), *_both(address, server.id))
    return KIND.answer(201, project, address, action=action_view(action))


def _home(project: Project, body: Body, server: Server | None) -> Location:
    wanted = body.optional_reference("home_location")
    if wanted is not None:
        return project.world.catalogue.location(wanted)
    if server is None:
        raise invalid_input("home_location", "a home location or a server is needed")
    return server.location


def _read(project: Project, body: Body, location: Location) -> FloatingIp:
    kind, number, pool = body.choice("type", ("ipv4", "ipv6")), project.world.ids.next(), project.world.pool
    return FloatingIp(
        id=number,
        name=body.optional_text("name") or f"floating-ip-{number}",
        created=project.world.clock.now(),
        labels=body.labels(),
        description=body.optional_text("description"),
        type=kind,
        ip=pool.take_ipv4() if kind == "ipv4" else pool.take_ipv6(),
        location=location,
    )


def _update(request: Request) -> Answer:
    address = KIND.rename_and_label(request)
    if request.body.has("description"):
        address.description = request.body.optional_text("description")
    return KIND.answer(200, request.project, address)


def _delete(request: Request) -> Answer:
    project, address = request.project, _unlocked(request)
    if address.protected:
        raise ApiError("protected", "Floating IP is protected against deletion")
    if address.server is not None:
        raise ApiError("must_be_unassigned", "the Floating IP must be unassigned")
    del project.floating_ips[address.id]
    if address.type == "ipv4":
        project.world.pool.free_ipv4(address.ip)
    return Answer(204, None)


def _both(address: FloatingIp, server: int) -> tuple[Subject, Subject]:
    return _subject(address), ("server", server)


def _assign_to(project: Project, address: FloatingIp, server: int) -> Process:
    yield project.world.pause("assign_floating_ip")
    address.server = server if server in project.servers else None


def _assign(request: Request) -> Answer:
    project, address = request.project, _unlocked(request)
    server = server_view.KIND.get(project, request.body.integer("server"))
    if address.server is not None:
        raise ApiError("floating_ip_assigned", "the Floating IP is already assigned")
    work = _assign_to(project, address, server.id)
    return one_action(201, project.begin("assign_floating_ip", work, *_both(address, server.id)))


def _unassign(request: Request) -> Answer:
    project, address = request.project, _unlocked(request)

    def work() -> Process:
        yield project.world.pause("unassign_floating_ip")
        address.server = None

    return one_action(201, project.begin("unassign_floating_ip", work(), _subject(address)))


def _change_protection(request: Request) -> Answer:
    project, address = request.project, _unlocked(request)
    protected = request.body.flag("delete", address.protected)

    def work() -> Process:
        yield project.world.pause("change_protection")
        address.protected = protected

    return one_action(201, project.begin("change_protection", work(), _subject(address)))


def _change_dns_ptr(_: Request) -> Answer:
    raise not_emulated("reverse DNS")


_ACTIONS = {
    "assign": _assign,
    "unassign": _unassign,
    "change_protection": _change_protection,
    "change_dns_ptr": _change_dns_ptr,
}

ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/floating_ips", _create),
    Endpoint("PUT", "/floating_ips/{id}", _update),
    Endpoint("DELETE", "/floating_ips/{id}", _delete),
    *(Endpoint("POST", f"/floating_ips/{{id}}/actions/{name}", handler) for name, handler in _ACTIONS.items()),
)
