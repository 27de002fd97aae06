"""Primary IPs: the public addresses of servers (docs/facts/hetzner-api.md#primary-ips)."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import PrimaryIp, Server
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input, limit_exceeded, not_emulated
from hetzner_k3s.lab.cloud.requests.fields import JsonObject
from hetzner_k3s.lab.cloud.resources.catalogue import Location


def view(_: Project, address: PrimaryIp) -> JsonObject:
    """Return the JSON object of an address."""
    return {
        "id": address.id,
        "name": address.name,
        "labels": address.labels,
        "created": moment(address.created),
        "blocked": False,
        "location": address.location.view(),
        "ip": address.ip,
        "dns_ptr": [{"ip": address.ip, "dns_ptr": reverse_name(address.ip)}] if address.type == "ipv4" else [],
        "protection": {"delete": address.protected},
        "type": address.type,
        "auto_delete": address.auto_delete,
        "assignee_type": "server",
        "assignee_id": address.assignee,
    }


KIND: Kind[PrimaryIp] = Kind(
    "primary_ip", "primary_ips", lambda project: project.primary_ips, view, {"ip": lambda _, address: address.ip}
)


def reverse_name(ipv4: str) -> str:
    """Return the default reverse DNS name of an IPv4 address."""
    return f"static.{'.'.join(reversed(ipv4.split('.')))}.clients.your-server.de"


def require_quota(project: Project, wanted: int) -> None:
    """Refuse more addresses than a project may have."""
    if len(project.primary_ips) + wanted > project.world.quotas.primary_ips:
        raise limit_exceeded("Primary IP limit exceeded", "primary_ip_limit")


def make(project: Project, kind: str, location: Location, name: str | None = None) -> PrimaryIp:
    """Make an address; without a name it belongs to a server and goes with it."""
    number = project.world.ids.next()
    pool = project.world.pool
    address = PrimaryIp(
        id=number,
        name=name or f"primary_ip-{number}",
        created=project.world.clock.now(),
        labels={},
        type=kind,
        ip=pool.take_ipv4() if kind == "ipv4" else pool.take_ipv6(),
        location=location,
        auto_delete=name is None,
    )
    project.primary_ips[number] = address
    return address


def choose(project: Project, number: int, kind: str, location: Location) -> PrimaryIp:
    """Return an existing address for a new server, checked for version, location and use."""
    address = KIND.get(project, number)
    if address.type != kind:
        raise ApiError("primary_ip_version_mismatch", "the Primary IP has the wrong version")
    if address.location.name != location.name:
        raise ApiError("primary_ip_datacenter_mismatch", "the Primary IP is in a different location")
    if address.assignee is not None:
        raise ApiError("primary_ip_assigned", "the Primary IP is already assigned to a server")
    return address


def release(project: Project, server: Server) -> None:
    """Let go of a deleted server's addresses: `auto_delete` ones return to the pool."""
    for address in (server.ipv4, server.ipv6):
        if address is None:
            continue
        address.assignee = None
        if address.auto_delete:
            _drop(project, address)


def _drop(project: Project, address: PrimaryIp) -> None:
    del project.primary_ips[address.id]
    if address.type == "ipv4":
        project.world.pool.free_ipv4(address.ip)


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    name, labels = body.text("name"), body.labels()
    kind = body.choice("type", ("ipv4", "ipv6"))
    if body.has("assignee_id"):
        raise not_emulated("creating a Primary IP that is assigned at once")
    location = body.optional_reference("location")
    if location is None:
        raise invalid_input("location", "missing data for required field")
    require_unique(name, project.primary_ips.values(), "name")
    require_quota(project, 1)
    address = make(project, kind, project.world.catalogue.location(location), name)
    address.labels, address.auto_delete = labels, body.flag("auto_delete", False)
    return KIND.answer(201, project, address)


def _update(request: Request) -> Answer:
    address = KIND.rename_and_label(request)
    address.auto_delete = request.body.flag("auto_delete", address.auto_delete)
    return KIND.answer(200, request.project, address)


def _delete(request: Request) -> Answer:
    address = KIND.find(request)
    if address.assignee is not None:
        raise ApiError("must_be_unassigned", "the Primary IP must be unassigned")
    _drop(request.project, address)
    return Answer(204, None)


ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/primary_ips", _create),
    Endpoint("PUT", "/primary_ips/{id}", _update),
    Endpoint("DELETE", "/primary_ips/{id}", _delete),
)
