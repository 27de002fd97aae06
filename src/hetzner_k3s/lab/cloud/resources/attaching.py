"""Servers and networks come together and part (docs/facts/hetzner-api.md#networks)."""

from __future__ import annotations

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.effects import power, selectors
from hetzner_k3s.lab.cloud.effects.machine_spec import private_nic
from hetzner_k3s.lab.cloud.kernel import MachineFailedError, Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Attachment, Network, Server
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Request, one_action
from hetzner_k3s.lab.cloud.requests.errors import ApiError, limit_exceeded
from hetzner_k3s.lab.cloud.resources import networks
from hetzner_k3s.lab.cloud.resources.server_view import KIND


def _attach(request: Request) -> Answer:
    project, server = request.project, KIND.find(request)
    network = networks.KIND.get(project, request.body.integer("network"))
    project.require_unlocked(("server", server.id))
    if server.attachment(network) is not None:
        raise ApiError("server_already_attached", "server is already attached to this network")
    if len(server.attachments) >= limits.NETWORKS_PER_SERVER:
        raise limit_exceeded("network limit of the server reached", "server_network_limit")
    if any(place.network.ip_range.overlaps(network.ip_range) for place in server.attachments):
        raise ApiError("networks_overlap", "the network overlaps with another one of the server")
    place = networks.reserve(project, network, server.location.network_zone, request.body)
    server.attachments.append(place)
    return _begin(project, "attach_to_network", _plug(project, server, place), server, network)


def _plug(project: Project, server: Server, place: Attachment) -> Process:
    world = project.world
    yield networks.queue(world, place.network, "attach_to_network")
    try:
        yield power.call(server, lambda: world.machines.attach(server.id, private_nic(place)))
    except MachineFailedError:
        server.attachments.remove(place)
        raise
    place.ready = True
    selectors.refresh_soon(project)


def _detach(request: Request) -> Answer:
    project, server, place = _attached(request)
    return _begin(project, "detach_from_network", _unplug(project, server, place), server, place.network)


def _unplug(project: Project, server: Server, place: Attachment) -> Process:
    world = project.world
    yield networks.queue(world, place.network, "detach_from_network")
    yield power.call(server, lambda: world.machines.detach(server.id, place.network.id))
    server.attachments.remove(place)
    selectors.refresh_soon(project)


def _change_alias_ips(request: Request) -> Answer:
    project, server, place = _attached(request)
    used = networks.used_except(project, place.network, place)
    aliases = networks.alias_ips(place.network, request.body, used)

    def work() -> Process:
        yield project.world.pause("change_alias_ips")
        place.alias_ips = aliases

    return _begin(project, "change_alias_ips", work(), server, place.network)


def _attached(request: Request) -> tuple[Project, Server, Attachment]:
    project, server = request.project, KIND.find(request)
    network = networks.KIND.get(project, request.body.integer("network"))
    project.require_unlocked(("server", server.id))
    place = server.attachment(network)
    if place is None:
        raise ApiError("server_not_attached_to_network", "server is not attached to this network")
    return project, server, place


def _begin(project: Project, command: str, work: Process, server: Server, network: Network) -> Answer:
    subjects = ("server", server.id), ("network", network.id)
    return one_action(201, project.begin(command, work, *subjects, owner=server.id))


def _delete_network(request: Request) -> Answer:
    project, network = request.project, networks.KIND.find(request)
    if network.protected:
        raise ApiError("protected", "network is protected against deletion")
    project.require_idle(networks.subject(network))
    for server in project.servers.values():
        if server.attachment(network) is not None:
            server.attachments = [place for place in server.attachments if place.network is not network]
            project.world.timeline.start(_drop(project, server, network.id))
    for balancer in project.load_balancers.values():
        if balancer.attachment is not None and balancer.attachment.network is network:
            balancer.attachment = None
    del project.networks[network.id]
    selectors.refresh_soon(project)
    return Answer(204, None)


def _drop(project: Project, server: Server, network_id: int) -> Process:
    """The network is gone for the API already; a machine that cannot follow is of no consequence to it."""
    try:
        yield power.call(server, lambda: project.world.machines.detach(server.id, network_id))
    except MachineFailedError:
        return


ENDPOINTS = (
    Endpoint("DELETE", "/networks/{id}", _delete_network),
    Endpoint("POST", "/servers/{id}/actions/attach_to_network", _attach),
    Endpoint("POST", "/servers/{id}/actions/detach_from_network", _detach),
    Endpoint("POST", "/servers/{id}/actions/change_alias_ips", _change_alias_ips),
)
