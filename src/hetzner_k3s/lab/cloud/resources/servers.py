"""Servers and their actions.

See docs/facts/hetzner-api.md#servers, docs/facts/hetzner-api.md#actions.
"""

from __future__ import annotations

from hetzner_k3s.lab.cloud import actions
from hetzner_k3s.lab.cloud.effects import power, selectors
from hetzner_k3s.lab.cloud.effects.power import ServerWork
from hetzner_k3s.lab.cloud.kernel import Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Server, ServerTarget
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Handler, Request, one_action
from hetzner_k3s.lab.cloud.requests.errors import ApiError, already_used, not_emulated
from hetzner_k3s.lab.cloud.requests.fields import hostname
from hetzner_k3s.lab.cloud.resources import floating_ips, placement_groups, primary_ips, server_create, volumes
from hetzner_k3s.lab.cloud.resources.server_view import KIND, status_of


def _unlocked(request: Request) -> Server:
    server = KIND.find(request)
    request.project.require_unlocked(("server", server.id))
    return server


def _act(request: Request, command: str, work: ServerWork) -> Answer:
    """Begin an action whose work is a process of the server."""
    project, server = request.project, _unlocked(request)
    return one_action(201, project.begin(command, work(project, server), ("server", server.id), owner=server.id))


def _action(command: str, work: ServerWork) -> Handler:
    return lambda request: _act(request, command, work)


def _poweron(request: Request) -> Answer:
    """What is being started, a server that is being made above all, is not started again: the answer is that action."""
    subject = ("server", KIND.find(request).id)
    if starting := request.project.actions.under_way(subject, "start_server"):
        return one_action(201, starting)
    return _act(request, "start_server", power.stay if _is_running(request) else power.start)


def _is_running(request: Request) -> bool:
    return status_of(request.project, KIND.find(request)) == "running"


def _reboot(request: Request) -> Answer:
    """ACPI reaches only a running guest."""
    return _act(request, "reboot_server", power.reboot if _is_running(request) else power.stay)


def _shutdown(request: Request) -> Answer:
    return _act(request, "shutdown_server", power.shut_down if _is_running(request) else power.stay)


def _rebuild(request: Request) -> Answer:
    project, server, body = request.project, _unlocked(request), request.body
    if server.rebuild_protected:
        raise ApiError("protected", "server is protected against rebuild")
    user_data = server_create.read_user_data(body) if body.has("user_data") else server.user_data
    server.image = project.world.catalogue.image(body.reference("image"), server.server_type.architecture)
    server.user_data = user_data
    subjects = ("server", server.id), ("image", server.image.id)
    action = project.begin("rebuild_server", power.rebuild(project, server), *subjects, owner=server.id)
    password = None if server.ssh_keys else project.world.rng.token_hex(8)
    return Answer(201, {"action": actions.view(action), "root_password": password})


def _update(request: Request) -> Answer:
    server, body = KIND.find(request), request.body
    labels = body.labels() if body.has("labels") else server.labels
    name = hostname(body) if body.has("name") else server.name
    if any(other.name == name and other is not server for other in request.project.servers.values()):
        raise already_used("server name")
    server.name, server.labels = name, labels
    selectors.refresh_soon(request.project)
    return KIND.answer(200, request.project, server)


def _delete(request: Request) -> Answer:
    project, server = request.project, KIND.find(request)
    if server.delete_protected:
        raise ApiError("protected", "server is protected against deletion")
    if server.status == "deleting":
        raise ApiError("locked", "cannot perform operation because server is locked")
    project.world.timeline.cancel(server.id)
    project.actions.abandon(("server", server.id))
    server.status = "deleting"
    selectors.refresh_soon(project)
    return one_action(200, project.begin("delete_server", _vanish(project, server), ("server", server.id)))


def _vanish(project: Project, server: Server) -> Process:
    """Destroy the machine, then let go of everything the server had; until then its name and addresses are taken."""
    yield from power.destroy(project, server)
    del project.servers[server.id]
    primary_ips.release(project, server)
    floating_ips.release(project, server)
    volumes.release(project, server)
    for firewall in project.firewalls.values():
        firewall.servers = [number for number in firewall.servers if number != server.id]
    for balancer in project.load_balancers.values():
        kept = [t for t in balancer.targets if not (isinstance(t, ServerTarget) and t.server is server)]
        balancer.targets = kept
    selectors.evaluate(project)


def _add_to_placement_group(request: Request) -> Answer:
    project, server = request.project, _unlocked(request)
    group = placement_groups.KIND.get(project, request.body.integer("placement_group"))
    if server.placement_group is not None:
        raise ApiError("already_in_placement_group", "server is already in a placement group")
    if status_of(project, server) != "off":
        raise ApiError("server_not_stopped", "server must be stopped")
    placement_groups.require_room(project, group)
    server.placement_group = group

    def work() -> Process:
        yield project.world.pause("add_to_placement_group")

    subjects = ("server", server.id), ("placement_group", group.id)
    return one_action(201, project.begin("add_to_placement_group", work(), *subjects, owner=server.id))


def _leave_placement_group(project: Project, server: Server) -> Process:
    yield project.world.pause("remove_from_placement_group")
    server.placement_group = None


def _change_protection(request: Request) -> Answer:
    server, body = KIND.find(request), request.body
    delete = body.flag("delete", server.delete_protected)
    rebuild = body.flag("rebuild", server.rebuild_protected)

    def work(project: Project, server: Server) -> Process:
        yield project.world.pause("change_protection")
        server.delete_protected, server.rebuild_protected = delete, rebuild

    return _act(request, "change_protection", work)


def _change_type(request: Request) -> Answer:
    """Rescale a server that is off; the disk is copied, never made smaller."""
    server, body = _unlocked(request), request.body
    wanted = request.project.world.catalogue.server_type(body.reference("server_type"))
    if status_of(request.project, server) != "off":
        raise ApiError("server_not_stopped", "server must be stopped")
    if wanted.architecture != server.server_type.architecture or wanted.disk < server.disk:
        raise ApiError("invalid_server_type", "server type does not fit for the given server")
    request.project.world.catalogue.place(wanted, server.location)
    grows = body.flag("upgrade_disk", False)

    def work(project: Project, server: Server) -> Process:
        server.status = "migrating"
        yield project.world.pause("change_server_type")
        server.kept_disk = None if grows else server.disk
        server.server_type, server.status = wanted, "off"

    return _act(request, "change_server_type", work)


def _not_emulated(name: str) -> Endpoint:
    def refuse(request: Request) -> Answer:
        KIND.find(request)
        raise not_emulated(f"the server action {name}")

    return Endpoint("POST", f"/servers/{{id}}/actions/{name}", refuse)


_ABSENT = (
    "attach_iso",
    "detach_iso",
    "change_dns_ptr",
    "create_image",
    "enable_backup",
    "disable_backup",
    "enable_rescue",
    "disable_rescue",
    "request_console",
    "reset_password",
)

ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/servers", server_create.create),
    Endpoint("PUT", "/servers/{id}", _update),
    Endpoint("DELETE", "/servers/{id}", _delete),
    Endpoint("POST", "/servers/{id}/actions/poweron", _poweron),
    Endpoint("POST", "/servers/{id}/actions/poweroff", _action("stop_server", power.stop)),
    Endpoint("POST", "/servers/{id}/actions/shutdown", _shutdown),
    Endpoint("POST", "/servers/{id}/actions/reboot", _reboot),
    Endpoint("POST", "/servers/{id}/actions/reset", _action("reset_server", power.reset)),
    Endpoint("POST", "/servers/{id}/actions/rebuild", _rebuild),
    Endpoint("POST", "/servers/{id}/actions/change_type", _change_type),
    Endpoint("POST", "/servers/{id}/actions/add_to_placement_group", _add_to_placement_group),
    Endpoint(
        "POST",
        "/servers/{id}/actions/remove_from_placement_group",
        _action("remove_from_placement_group", _leave_placement_group),
    ),
    Endpoint("POST", "/servers/{id}/actions/change_protection", _change_protection),
    *(_not_emulated(name) for name in _ABSENT),
)
