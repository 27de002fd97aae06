"""Networks, their subnets and routes (docs/facts/hetzner-api.md#networks)."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.actions import Subject
from hetzner_k3s.lab.cloud.addresses import first_free_subnet, gateway_of, is_assignable, lowest_free, private_mac
from hetzner_k3s.lab.cloud.kernel import Process, Wait
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, World, require_unique
from hetzner_k3s.lab.cloud.records import Attachment, Network, Route, Subnet
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request, one_action
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input, limit_exceeded, not_emulated
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject

_PRIVATE = tuple(ipaddress.IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_DEFAULT_ROUTE = ipaddress.IPv4Network("0.0.0.0/0")
_PUBLIC_GATEWAY = ipaddress.IPv4Address("172.31.1.1")
_LONGEST_NETWORK_PREFIX = 24
_LONGEST_SUBNET_PREFIX = 30


def view(project: Project, network: Network) -> JsonObject:
    """Return the JSON object of a network; servers and load balancers appear when their attachment is ready."""
    return {
        "id": network.id,
        "name": network.name,
        "ip_range": str(network.ip_range),
        "subnets": [_subnet_view(network, subnet) for subnet in network.subnets],
        "routes": [{"destination": str(route.destination), "gateway": str(route.gateway)} for route in network.routes],
        "servers": [s.id for s in project.servers.values() if (a := s.attachment(network)) is not None and a.ready],
        "load_balancers": [
            b.id
            for b in project.load_balancers.values()
            if b.attachment is not None and b.attachment.network is network and b.attachment.ready
        ],
        "protection": {"delete": network.protected},
        "labels": network.labels,
        "created": moment(network.created),
        "expose_routes_to_vswitch": network.expose_routes_to_vswitch,
    }


def _subnet_view(network: Network, subnet: Subnet) -> JsonObject:
    return {
        "type": subnet.type,
        "ip_range": str(subnet.ip_range),
        "network_zone": subnet.network_zone,
        "gateway": str(gateway_of(network.ip_range)),
        "vswitch_id": None,
    }


KIND: Kind[Network] = Kind("network", "networks", lambda project: project.networks, view)


def subject(network: Network) -> Subject:
    """Name a network in actions."""
    return ("network", network.id)


def attachments(project: Project, network: Network) -> Iterable[Attachment]:
    """Return every place in a network that is taken or reserved."""
    holders = (a for server in project.servers.values() for a in server.attachments)
    balancers = (b.attachment for b in project.load_balancers.values() if b.attachment)
    return (attachment for attachment in (*holders, *balancers) if attachment.network is network)


def reserve(project: Project, network: Network, zone: str, wanted: Body | None = None) -> Attachment:
    """Take a place in a network: the wanted address, else the lowest free one of a subnet in the network zone.

    Args:
        project: the owner.
        network: where to attach.
        zone: network zone of the server or load balancer.
        wanted: a body that may name `ip`, `ip_range` and `alias_ips`.

    Raises:
        ApiError: the network is full or has no fitting subnet, or the address is not available.
    """
    body = wanted or Body({})
    used = _used_addresses(project, network)
    if sum(1 for _ in attachments(project, network)) >= limits.ATTACHMENTS_PER_NETWORK:
        raise limit_exceeded("network attachment limit reached", "network_attachment_limit")
    subnets = [subnet for subnet in network.subnets if subnet.network_zone == zone]
    if body.has("ip_range"):
        subnets = [subnet for subnet in subnets if subnet.ip_range == body.ipv4_network("ip_range")]
    ip = body.ipv4("ip")
    subnet, address = _pick(network, subnets, used) if ip is None else _claim(network, subnets, used, ip)
    aliases = alias_ips(network, body, used | {address})
    return Attachment(network, subnet, address, private_mac(project.world.ids.next()), aliases)


def alias_ips(network: Network, body: Body, used: set[ipaddress.IPv4Address]) -> tuple[str, ...]:
    """Read `alias_ips`: free addresses of the network's subnets, at most five."""
    aliases = body.texts("alias_ips", limits.ALIAS_IPS_PER_NETWORK)
    for text in aliases:
        _claim(network, network.subnets, used, Body({"alias_ips": text}).ipv4("alias_ips"))
    return tuple(aliases)


def queue(world: World, network: Network, step: str) -> Wait:
    """Return the time of an attachment, which waits for those before it in the same network.

    See docs/facts/hetzner-api.md#latencies.
    """
    now = world.clock.monotonic()
    network.busy_until = max(now, network.busy_until) + world.latency.seconds(step)
    return Wait(network.busy_until - now)


def used_except(project: Project, network: Network, attachment: Attachment) -> set[ipaddress.IPv4Address]:
    """Return the addresses in use without the aliases of one attachment."""
    return _used_addresses(project, network) - {ipaddress.IPv4Address(text) for text in attachment.alias_ips}


def _used_addresses(project: Project, network: Network) -> set[ipaddress.IPv4Address]:
    taken = list(attachments(project, network))
    aliases = (ipaddress.IPv4Address(text) for attachment in taken for text in attachment.alias_ips)
    return {attachment.ip for attachment in taken} | set(aliases)


def _pick(
    network: Network, subnets: list[Subnet], used: set[ipaddress.IPv4Address]
) -> tuple[Subnet, ipaddress.IPv4Address]:
    for subnet in subnets:
        address = lowest_free(subnet.ip_range, network.ip_range, used)
        if address is not None:
            return subnet, address
    raise ApiError("no_subnet_available", "no subnet or IP available")


def _claim(
    network: Network, subnets: list[Subnet], used: set[ipaddress.IPv4Address], ip: ipaddress.IPv4Address | None
) -> tuple[Subnet, ipaddress.IPv4Address]:
    for subnet in subnets:
        if ip is not None and is_assignable(ip, subnet.ip_range, network.ip_range) and ip not in used:
            return subnet, ip
    raise ApiError("ip_not_available", "IP is not available")


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    name, labels = body.text("name"), body.labels()
    ip_range = _network_range(body)
    require_unique(name, project.networks.values(), "name")
    if len(project.networks) >= project.world.quotas.networks:
        raise limit_exceeded("network limit exceeded", "network_limit")
    network = Network(
        id=project.world.ids.next(),
        name=name,
        created=project.world.clock.now(),
        labels=labels,
        ip_range=ip_range,
        subnets=[],
        routes=[],
        expose_routes_to_vswitch=body.flag("expose_routes_to_vswitch", False),
    )
    for item in body.objects("subnets"):
        network.subnets.append(_read_subnet(project, network, item))
    for item in body.objects("routes"):
        network.routes.append(_read_route(network, item))
    project.networks[network.id] = network
    return KIND.answer(201, project, network)


def _network_range(body: Body) -> ipaddress.IPv4Network:
    ip_range = body.ipv4_network("ip_range")
    if not any(ip_range.subnet_of(private) for private in _PRIVATE):
        raise invalid_input("ip_range", "must be one of the private IPv4 ranges of RFC1918")
    if ip_range.prefixlen > _LONGEST_NETWORK_PREFIX:
        raise invalid_input("ip_range", "minimum network size is /24")
    return ip_range


def _read_subnet(project: Project, network: Network, body: Body) -> Subnet:
    kind = body.choice("type", ("cloud", "server", "vswitch"), "cloud")
    zone = body.choice("network_zone", sorted(project.world.catalogue.zones()))
    if kind == "vswitch":
        raise not_emulated("vSwitches")
    if len(network.subnets) >= limits.SUBNETS_PER_NETWORK:
        raise limit_exceeded("subnet limit reached", "subnet_limit")
    return Subnet(_subnet_range(network, body), zone, kind)


def _subnet_range(network: Network, body: Body) -> ipaddress.IPv4Network:
    taken = [subnet.ip_range for subnet in network.subnets]
    if not body.has("ip_range"):
        free = first_free_subnet(network.ip_range, [*taken, *(route.destination for route in network.routes)])
        if free is None:
            raise invalid_input(body.where("ip_range"), "no free range left in the network")
        return free
    ip_range = body.ipv4_network("ip_range")
    if ip_range.prefixlen > _LONGEST_SUBNET_PREFIX or not ip_range.subnet_of(network.ip_range):
        raise invalid_input(body.where("ip_range"), "must be a subnet of the network of at least /30")
    if any(ip_range.overlaps(other) for other in taken):
        raise invalid_input(body.where("ip_range"), "overlaps with another subnet")
    return ip_range


def _read_route(network: Network, body: Body) -> Route:
    destination, gateway = body.ipv4_network("destination"), body.ipv4("gateway")
    if len(network.routes) >= limits.ROUTES_PER_NETWORK:
        raise limit_exceeded("route limit reached", "route_limit")
    if destination != _DEFAULT_ROUTE and not any(destination.subnet_of(private) for private in _PRIVATE):
        raise invalid_input(body.where("destination"), "must be a private IPv4 range of RFC1918 or 0.0.0.0/0")
    others = [*(s.ip_range for s in network.subnets), *(r.destination for r in network.routes)]
    if destination != _DEFAULT_ROUTE and any(destination.overlaps(o) for o in others if o != _DEFAULT_ROUTE):
        raise invalid_input(body.where("destination"), "overlaps with a subnet or another route")
    if destination in others or (destination != _DEFAULT_ROUTE and _PUBLIC_GATEWAY in destination):
        raise invalid_input(body.where("destination"), "is already in use")
    if gateway is None or gateway not in network.ip_range or gateway == gateway_of(network.ip_range):
        raise invalid_input(body.where("gateway"), "must be an IP of the network that is not its first one")
    return Route(destination, gateway)


def _update(request: Request) -> Answer:
    request.project.require_idle(subject(KIND.find(request)))
    network = KIND.rename_and_label(request)
    network.expose_routes_to_vswitch = request.body.flag("expose_routes_to_vswitch", network.expose_routes_to_vswitch)
    return KIND.answer(200, request.project, network)


def _change(request: Request, command: str, change: Callable[[Network], None]) -> Answer:
    """Apply a checked change when its action ends; a second one meanwhile is a conflict."""
    project, network = request.project, KIND.find(request)

    def work() -> Process:
        yield project.world.pause(command)
        change(network)

    return one_action(201, project.begin(command, work(), subject(network)))


def _idle(request: Request) -> Network:
    network = KIND.find(request)
    request.project.require_idle(subject(network))
    return network


def _add_subnet(request: Request) -> Answer:
    subnet = _read_subnet(request.project, _idle(request), request.body)
    return _change(request, "add_subnet", lambda network: network.subnets.append(subnet))


def _delete_subnet(request: Request) -> Answer:
    network, ip_range = _idle(request), request.body.ipv4_network("ip_range")
    subnet = next((s for s in network.subnets if s.ip_range == ip_range), None)
    if subnet is None:
        raise invalid_input("ip_range", "subnet does not exist")
    if any(attachment.subnet == subnet for attachment in attachments(request.project, network)):
        raise ApiError("service_error", "cannot remove subnet because servers are attached to it")
    return _change(request, "delete_subnet", lambda network: network.subnets.remove(subnet))


def _add_route(request: Request) -> Answer:
    route = _read_route(_idle(request), request.body)
    return _change(request, "add_route", lambda network: network.routes.append(route))


def _delete_route(request: Request) -> Answer:
    network, body = _idle(request), request.body
    wanted = (body.ipv4_network("destination"), body.ipv4("gateway"))
    route = next((r for r in network.routes if (r.destination, r.gateway) == wanted), None)
    if route is None:
        raise invalid_input("destination", "route does not exist")
    return _change(request, "delete_route", lambda network: network.routes.remove(route))


def _change_ip_range(request: Request) -> Answer:
    network, ip_range = _idle(request), _network_range(request.body)
    grown = ip_range.network_address == network.ip_range.network_address and network.ip_range.subnet_of(ip_range)
    if not grown:
        raise invalid_input("ip_range", "can only be extended at its end")
    return _change(request, "change_ip_range", lambda network: setattr(network, "ip_range", ip_range))


def _change_protection(request: Request) -> Answer:
    protected = request.body.flag("delete", _idle(request).protected)
    return _change(request, "change_protection", lambda network: setattr(network, "protected", protected))


ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/networks", _create),
    Endpoint("PUT", "/networks/{id}", _update),
    Endpoint("POST", "/networks/{id}/actions/add_subnet", _add_subnet),
    Endpoint("POST", "/networks/{id}/actions/delete_subnet", _delete_subnet),
    Endpoint("POST", "/networks/{id}/actions/add_route", _add_route),
    Endpoint("POST", "/networks/{id}/actions/delete_route", _delete_route),
    Endpoint("POST", "/networks/{id}/actions/change_ip_range", _change_ip_range),
    Endpoint("POST", "/networks/{id}/actions/change_protection", _change_protection),
)
"""DELETE /networks/{id} detaches servers and load balancers: it stands in `attaching`."""
