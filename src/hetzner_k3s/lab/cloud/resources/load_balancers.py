"""Load balancers and their actions (docs/facts/hetzner-api.md#load-balancers)."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.lab.cloud.actions import Subject
from hetzner_k3s.lab.cloud.actions import view as action_view
from hetzner_k3s.lab.cloud.effects import selectors
from hetzner_k3s.lab.cloud.effects.balancing import push_call, spec_of
from hetzner_k3s.lab.cloud.kernel import Call, Process
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import LoadBalancer, ServerTarget, Service
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request, one_action
from hetzner_k3s.lab.cloud.requests.errors import ApiError, conflict, invalid_input, limit_exceeded, not_emulated
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject
from hetzner_k3s.lab.cloud.resources import load_balancer_services, load_balancer_targets, networks
from hetzner_k3s.lab.cloud.resources.catalogue import Location
from hetzner_k3s.lab.cloud.resources.primary_ips import reverse_name

_ALGORITHMS = ("round_robin", "least_connections")


def view(project: Project, balancer: LoadBalancer) -> JsonObject:
    """Return the JSON object of a load balancer."""
    health = project.world.machines.target_health(balancer.id)
    place = balancer.attachment
    ready = place is not None and place.ready
    return {
        "id": balancer.id,
        "name": balancer.name,
        "public_net": {
            "enabled": balancer.public_interface,
            "ipv4": {"ip": balancer.ipv4, "dns_ptr": balancer.ipv4 and reverse_name(balancer.ipv4)},
            "ipv6": {"ip": balancer.ipv6, "dns_ptr": None},
        },
        "private_net": [{"network": place.network.id, "ip": str(place.ip)}] if place and ready else [],
        "location": balancer.location.view(),
        "load_balancer_type": balancer.type.view(),
        "protection": {"delete": balancer.protected},
        "labels": balancer.labels,
        "created": moment(balancer.created),
        "services": [load_balancer_services.service_view(service) for service in balancer.services],
        "targets": [load_balancer_targets.target_view(project, balancer, t, health) for t in balancer.targets],
        "algorithm": {"type": balancer.algorithm},
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": balancer.type.offers[balancer.location.name].included_traffic,
    }


KIND: Kind[LoadBalancer] = Kind("load_balancer", "load_balancers", lambda project: project.load_balancers, view)


def _subject(balancer: LoadBalancer) -> Subject:
    return ("load_balancer", balancer.id)


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    require_unique(body.text("name", 128), project.load_balancers.values(), "name")
    if len(project.load_balancers) >= project.world.quotas.load_balancers:
        raise limit_exceeded("load balancer limit exceeded", "load_balancer_limit")
    balancer = _read(project, body)
    for item in body.objects("services"):
        _require_free_port(balancer, service := load_balancer_services.read_service(item), status=412)
        balancer.services.append(service)
    for item in body.objects("targets"):
        target = load_balancer_targets.read_target(project, item)
        load_balancer_targets.require_addable(project, balancer, target, balancer.targets)
        balancer.targets.append(target)
    project.load_balancers[balancer.id] = balancer
    action = project.begin("create_load_balancer", _make(project, balancer), _subject(balancer), owner=balancer.id)
    selectors.refresh_soon(project)
    return KIND.answer(201, project, balancer, action=action_view(action))


def _read(project: Project, body: Body) -> LoadBalancer:
    world = project.world
    kind = world.catalogue.load_balancer_type(body.reference("load_balancer_type"))
    location = _read_location(project, body)
    network = body.optional_integer("network")
    place = networks.reserve(project, networks.KIND.get(project, network), location.network_zone) if network else None
    public = body.flag("public_interface", True)
    if not public and place is None:
        raise invalid_input("public_interface", "a load balancer without a network needs its public interface")
    return LoadBalancer(
        id=world.ids.next(),
        name=body.text("name", 128),
        created=world.clock.now(),
        labels=body.labels(),
        type=kind,
        location=location,
        algorithm=body.object("algorithm").choice("type", _ALGORITHMS, "round_robin"),
        services=[],
        targets=[],
        public_interface=public,
        attachment=place,
    )


def _read_location(project: Project, body: Body) -> Location:
    catalogue, zone = project.world.catalogue, body.optional_text("network_zone")
    wanted = body.optional_reference("location")
    if wanted:
        return catalogue.location(wanted)
    for location in catalogue.locations:
        if location.network_zone == zone:
            return location
    raise invalid_input("location", "a location or a network zone is needed")


def _require_free_port(balancer: LoadBalancer, service: Service, status: int) -> None:
    if any(other.listen_port == service.listen_port for other in balancer.services):
        raise ApiError("source_port_already_used", "the source port is already in use", status=status)
    if len(balancer.services) >= balancer.type.services:
        raise limit_exceeded("service limit of the load balancer reached", "load_balancer_service_limit")


def _make(project: Project, balancer: LoadBalancer) -> Process:
    """The addresses are there when the load balancer is made, not before.

    See docs/facts/hetzner-api.md#load-balancers.
    """
    pool = project.world.pool
    yield project.world.pause("create_load_balancer")
    balancer.ipv4 = pool.take_ipv4()
    balancer.ipv6 = pool.take_ipv6().replace("::/64", "::1")
    if balancer.attachment is not None:
        balancer.attachment.ready = True
    balancer.made = True
    balancer.pushed = spec_of(project, balancer)
    yield push_call(project, balancer)


def _delete(request: Request) -> Answer:
    """What is under way does not stand in the way, as with a server: it fails."""
    project, balancer = request.project, KIND.find(request)
    subject = _subject(balancer)
    if balancer.protected:
        raise ApiError("protected", "load balancer is protected against deletion")
    if project.actions.under_way(subject, "delete_load_balancer"):
        raise conflict("load_balancer")
    project.world.timeline.cancel(balancer.id)
    project.actions.abandon(subject)

    def work() -> Process:
        yield project.world.pause("delete_load_balancer")
        machines = project.world.machines
        balancer.made = False  # a change of its targets may wait behind the farewell and must not bring it back
        yield Call(f"load_balancer-{balancer.id}", lambda: machines.unbalance(balancer.id))
        del project.load_balancers[balancer.id]
        if balancer.ipv4:
            project.world.pool.free_ipv4(balancer.ipv4)

    return one_action(201, project.begin("delete_load_balancer", work(), subject))


def _idle(request: Request) -> LoadBalancer:
    balancer = KIND.find(request)
    request.project.require_idle(_subject(balancer))
    return balancer


def _change(request: Request, command: str, change: Callable[[], None], *more: Subject) -> Answer:
    """Begin an action that makes a checked change and brings it to the machines."""
    project, balancer = request.project, KIND.find(request)

    def work() -> Process:
        yield project.world.pause(command)
        change()
        balancer.pushed = spec_of(project, balancer)
        yield push_call(project, balancer)
        selectors.refresh_soon(project)

    return one_action(201, project.begin(command, work(), _subject(balancer), *more, owner=balancer.id))


def _add_service(request: Request) -> Answer:
    balancer, service = _idle(request), load_balancer_services.read_service(request.body)
    _require_free_port(balancer, service, status=412)
    return _change(request, "add_service", lambda: balancer.services.append(service))


def _update_service(request: Request) -> Answer:
    balancer = _idle(request)
    old = load_balancer_services.find_service(balancer, request.body.integer("listen_port"))
    new = load_balancer_services.change_service(old, request.body)

    def change() -> None:
        balancer.services[balancer.services.index(old)] = new

    return _change(request, "update_service", change)


def _delete_service(request: Request) -> Answer:
    balancer = _idle(request)
    service = load_balancer_services.find_service(balancer, request.body.integer("listen_port"))
    return _change(request, "delete_service", lambda: balancer.services.remove(service))


def _add_target(request: Request) -> Answer:
    project, balancer = request.project, _idle(request)
    target = load_balancer_targets.read_target(project, request.body)
    load_balancer_targets.require_addable(project, balancer, target, balancer.targets)
    more = [("server", target.server.id)] if isinstance(target, ServerTarget) else []

    def change() -> None:
        """A server may have been deleted meanwhile."""
        if not isinstance(target, ServerTarget) or target.server.id in project.servers:
            balancer.targets.append(target)

    return _change(request, "add_target", change, *more)


def _remove_target(request: Request) -> Answer:
    balancer = _idle(request)
    wanted = load_balancer_targets.read_target(request.project, request.body)
    target = next((t for t in balancer.targets if load_balancer_targets.is_same(t, wanted)), None)
    if target is None:
        raise invalid_input("type", "the load balancer has no such target")

    def change() -> None:
        """A server that was deleted meanwhile has taken its target along."""
        balancer.targets = [other for other in balancer.targets if other is not target]

    return _change(request, "remove_target", change)


def _attach(request: Request) -> Answer:
    project, balancer = request.project, _idle(request)
    network = networks.KIND.get(project, request.body.integer("network"))
    if balancer.attachment is not None:
        raise ApiError("load_balancer_already_attached", "load balancer is already attached to a network")
    place = networks.reserve(project, network, balancer.location.network_zone, request.body)
    balancer.attachment = place
    return _change(request, "attach_to_network", lambda: setattr(place, "ready", True), ("network", network.id))


def _detach(request: Request) -> Answer:
    balancer, number = _idle(request), request.body.integer("network")
    if balancer.attachment is None or balancer.attachment.network.id != number:
        raise ApiError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    return _change(request, "detach_from_network", lambda: setattr(balancer, "attachment", None), ("network", number))


def _change_algorithm(request: Request) -> Answer:
    balancer, wanted = _idle(request), request.body.choice("type", _ALGORITHMS)
    return _change(request, "change_algorithm", lambda: setattr(balancer, "algorithm", wanted))


def _change_type(request: Request) -> Answer:
    balancer = _idle(request)
    wanted = request.project.world.catalogue.load_balancer_type(request.body.reference("load_balancer_type"))
    if len(balancer.services) > wanted.services or len(balancer.targets) > wanted.targets:
        raise ApiError("invalid_load_balancer_type", "the load balancer does not fit the type")
    return _change(request, "change_load_balancer_type", lambda: setattr(balancer, "type", wanted))


def _enable_public(request: Request) -> Answer:
    balancer = _idle(request)
    return _change(request, "enable_public_interface", lambda: setattr(balancer, "public_interface", True))


def _disable_public(request: Request) -> Answer:
    balancer = _idle(request)
    if balancer.attachment is None:
        raise ApiError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    if any(not target.use_private_ip for target in balancer.targets):
        raise ApiError("targets_without_use_private_ip", "a target does not use its private IP")
    return _change(request, "disable_public_interface", lambda: setattr(balancer, "public_interface", False))


def _change_protection(request: Request) -> Answer:
    balancer = _idle(request)
    wanted = request.body.flag("delete", balancer.protected)
    return _change(request, "change_protection", lambda: setattr(balancer, "protected", wanted))


def _update(request: Request) -> Answer:
    return KIND.answer(200, request.project, KIND.rename_and_label(request, max_length=128))


def _change_dns_ptr(request: Request) -> Answer:
    KIND.find(request)
    raise not_emulated("reverse DNS")


_ACTIONS = {
    "add_service": _add_service,
    "update_service": _update_service,
    "delete_service": _delete_service,
    "add_target": _add_target,
    "remove_target": _remove_target,
    "attach_to_network": _attach,
    "detach_from_network": _detach,
    "change_algorithm": _change_algorithm,
    "change_type": _change_type,
    "enable_public_interface": _enable_public,
    "disable_public_interface": _disable_public,
    "change_protection": _change_protection,
    "change_dns_ptr": _change_dns_ptr,
}
ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/load_balancers", _create),
    Endpoint("PUT", "/load_balancers/{id}", _update),
    Endpoint("DELETE", "/load_balancers/{id}", _delete),
    *(Endpoint("POST", f"/load_balancers/{{id}}/actions/{name}", handler) for name, handler in _ACTIONS.items()),
)
