"""POST /servers: reading what is wanted, reserving it, and the work that follows.

See docs/facts/hetzner-api.md#servers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hetzner_k3s.lab.cloud import actions, limits
from hetzner_k3s.lab.cloud.actions import Action
from hetzner_k3s.lab.cloud.effects import enforcement, power, selectors
from hetzner_k3s.lab.cloud.effects.machine_spec import machine_spec
from hetzner_k3s.lab.cloud.kernel import Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Attachment, Firewall, Network, PlacementGroup, PrimaryIp, Server, Volume
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Request
from hetzner_k3s.lab.cloud.requests.errors import ApiError, already_used, invalid_input, limit_exceeded
from hetzner_k3s.lab.cloud.requests.fields import Body, hostname
from hetzner_k3s.lab.cloud.resources import networks, placement_groups, primary_ips, ssh_keys, volumes
from hetzner_k3s.lab.cloud.resources.catalogue import Image, Location, ServerType
from hetzner_k3s.lab.cloud.resources.server_view import KIND


@dataclass(frozen=True, slots=True)
class Order:
    """A checked wish for a server; nothing is reserved yet. The addresses are None (none), "new", or existing ones."""

    name: str
    labels: dict[str, str]
    server_type: ServerType
    location: Location
    image: Image
    ssh_keys: tuple[str, ...]
    user_data: str
    group: PlacementGroup | None
    networks: list[Network]
    firewalls: list[Firewall]
    volumes: list[Volume]
    ipv4: PrimaryIp | str | None
    ipv6: PrimaryIp | str | None
    start: bool


def create(request: Request) -> Answer:
    """Answer POST /servers: the server exists at once, `initializing`, and actions bring it up."""
    project = request.project
    order = _read(project, request.body)
    server = _reserve(project, order)
    log, subject = project.actions, ("server", server.id)
    making = log.begin("create_server", subject, ("image", server.image.id), locks=False)
    followers = [*_followers(project, server, order)]
    birth = _birth(project, server, making, followers)
    project.world.timeline.start(birth, owner=server.id)
    selectors.refresh_soon(project)
    return KIND.answer(
        201,
        project,
        server,
        action=actions.view(making),
        next_actions=[actions.view(action) for action, _ in followers],
        root_password=None if order.ssh_keys else project.world.rng.token_hex(8),
    )


def read_user_data(body: Body) -> str:
    """Read `user_data`, at most 32 KiB as sent."""
    text = body.optional_text("user_data") or ""
    if len(text.encode()) > limits.USER_DATA_BYTES:
        raise invalid_input("user_data", "is too long")
    return text


def _read(project: Project, body: Body) -> Order:
    catalogue = project.world.catalogue
    _require_quota(project)
    name = hostname(body)
    if any(server.name == name for server in project.servers.values()):
        raise already_used("server name")
    server_type = catalogue.server_type(body.reference("server_type"))
    image = catalogue.image(body.reference("image"), server_type.architecture)
    wanted = body.optional_reference("location")
    location = catalogue.place(server_type, catalogue.location(wanted) if wanted else None)
    ipv4, ipv6 = _read_addresses(project, body, location)
    primary_ips.require_quota(project, (ipv4, ipv6).count("new"))
    order = Order(
        name=name,
        labels=body.labels(),
        server_type=server_type,
        location=location,
        image=image,
        ssh_keys=tuple(ssh_keys.find(project, ref).public_key for ref in body.references("ssh_keys")),
        user_data=read_user_data(body),
        group=_read_group(project, body),
        networks=[networks.KIND.get(project, number) for number in dict.fromkeys(body.integers("networks"))],
        firewalls=_read_firewalls(project, body),
        volumes=volumes.choose(project, list(dict.fromkeys(body.integers("volumes"))), location),
        ipv4=ipv4,
        ipv6=ipv6,
        start=body.flag("start_after_create", True),
    )
    _check(order, body)
    return order


def _require_quota(project: Project) -> None:
    if len(project.servers) >= project.world.quotas.servers:
        raise limit_exceeded("server limit exceeded", "server_limit")


def _read_addresses(
    project: Project, body: Body, location: Location
) -> tuple[PrimaryIp | str | None, PrimaryIp | str | None]:
    public = body.object("public_net")

    def one(kind: str) -> PrimaryIp | str | None:
        if not public.flag(f"enable_{kind}", True):
            return None
        number = public.optional_integer(kind)
        return "new" if number is None else primary_ips.choose(project, number, kind, location)

    return one("ipv4"), one("ipv6")


def _read_group(project: Project, body: Body) -> PlacementGroup | None:
    number = body.optional_integer("placement_group")
    if number is None:
        return None
    group = placement_groups.KIND.get(project, number)
    placement_groups.require_room(project, group)
    return group


def _read_firewalls(project: Project, body: Body) -> list[Firewall]:
    numbers = [item.integer("firewall") for item in body.objects("firewalls")]
    for number in numbers:
        if number not in project.firewalls:
            raise ApiError("firewall_resource_not_found", f"firewall with ID '{number}' not found")
    return [project.firewalls[number] for number in dict.fromkeys(numbers)]


def _check(order: Order, body: Body) -> None:
    if body.has("datacenter"):
        raise invalid_input("datacenter", "was removed, use location")
    public = order.ipv4 or order.ipv6
    if not public and not order.networks:
        raise invalid_input("public_net", "a server needs a public or a private network")
    if not public and order.firewalls:
        raise ApiError("private_net_only_server", "the server has no public network interface")
    if any(one.ip_range.overlaps(other.ip_range) for one, other in itertools.combinations(order.networks, 2)):
        raise ApiError("networks_overlap", "the networks overlap")
    if len(order.networks) > limits.NETWORKS_PER_SERVER:
        raise limit_exceeded("network limit of the server reached", "server_network_limit")
    if len(order.firewalls) > limits.FIREWALLS_PER_SERVER:
        raise limit_exceeded("firewall limit of the server reached", "firewall_limit")


def _reserve(project: Project, order: Order) -> Server:
    """Take the private addresses first: they may be refused, then nothing else was taken yet."""
    zone = order.location.network_zone
    places = [networks.reserve(project, network, zone) for network in order.networks]
    addresses = [
        primary_ips.make(project, kind, order.location) if choice == "new" else choice
        for kind, choice in (("ipv4", order.ipv4), ("ipv6", order.ipv6))
    ]
    ipv4, ipv6 = (address if isinstance(address, PrimaryIp) else None for address in addresses)
    server = Server(
        id=project.world.ids.next(),
        name=order.name,
        created=project.world.clock.now(),
        labels=order.labels,
        server_type=order.server_type,
        location=order.location,
        image=order.image,
        status="initializing",
        ipv4=ipv4,
        ipv6=ipv6,
        ssh_keys=order.ssh_keys,
        user_data=order.user_data,
        placement_group=order.group,
        attachments=places,
    )
    for address in (ipv4, ipv6):
        if address is not None:
            address.assignee = server.id
    for firewall in order.firewalls:
        firewall.servers.append(server.id)
        server.firewalls[firewall.id] = "pending"
    for volume in order.volumes:
        volume.server = server.id
    project.servers[server.id] = server
    return server


_Followers = list[tuple[Action, Process]]


def _followers(project: Project, server: Server, order: Order) -> _Followers:
    """Begin the `next_actions`; their works run one after another behind `create_server`."""
    log, subject = project.actions, ("server", server.id)
    found: _Followers = []
    for place in server.attachments:
        action = log.begin("attach_to_network", subject, ("network", place.network.id), locks=False)
        found.append((action, _appear(project, place)))
    for volume in order.volumes:
        action = log.begin("attach_volume", subject, ("volume", volume.id), locks=False)
        found.append((action, volumes.attach(project, volume, server)))
    for firewall in order.firewalls:
        action = log.begin("apply_firewall", subject, ("firewall", firewall.id), locks=False)
        found.append((action, enforcement.apply(project, server, firewall)))
    if order.start:
        found.append((log.begin("start_server", subject, locks=False), power.start(project, server)))
    return found


def _birth(project: Project, server: Server, making: Action, followers: _Followers) -> Process:
    log, world = project.actions, project.world
    yield from log.carry_out(making, _make(project, server))
    for action, work in followers:
        if making.error:
            action.fail(world.clock.now(), "action_failed", "Action failed: the server was not created")
        else:
            yield from log.carry_out(action, work)
    if making.error:
        server.status = "unknown"
    elif server.status == "initializing":
        server.status = "off"
    selectors.refresh_soon(project)


def _make(project: Project, server: Server) -> Process:
    """The machine is made with its private interfaces: attaching is only waited for, as the vendor's queue does."""
    world = project.world
    yield world.pause("create_server")
    yield power.call(server, lambda: world.machines.create(machine_spec(server)))


def _appear(project: Project, place: Attachment) -> Process:
    yield networks.queue(project.world, place.network, "attach_to_network")
    place.ready = True
