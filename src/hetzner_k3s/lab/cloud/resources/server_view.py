"""Servers as clients see them (docs/facts/hetzner-api.md#servers)."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects.balancing import servers_of
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Attachment, PrimaryIp, Server
from hetzner_k3s.lab.cloud.requests.endpoint import Kind
from hetzner_k3s.lab.cloud.requests.fields import JsonObject
from hetzner_k3s.lab.cloud.resources import placement_groups
from hetzner_k3s.lab.cloud.resources.primary_ips import reverse_name


def status_of(project: Project, server: Server) -> str:
    """Return the status now; a running server whose guest powered itself off is `off`."""
    if server.status == "running" and not project.world.machines.is_running(server.id):
        return "off"
    return server.status


def view(project: Project, server: Server) -> JsonObject:
    """Return the JSON object of a server."""
    offer = server.server_type.offers[server.location.name]
    group = server.placement_group
    return {
        "id": server.id,
        "name": server.name,
        "status": status_of(project, server),
        "created": moment(server.created),
        "public_net": {
            "ipv4": server.ipv4 and _ipv4_view(server.ipv4),
            "ipv6": server.ipv6 and _ipv6_view(server.ipv6),
            "floating_ips": [a.id for a in project.floating_ips.values() if a.server == server.id],
            "firewalls": [{"id": number, "status": status} for number, status in server.firewalls.items()],
        },
        "private_net": [_private_view(place) for place in server.attachments if place.ready],
        "server_type": project.world.catalogue.server_type_view(server.server_type),
        "location": server.location.view(),
        "image": server.image.view(),
        "iso": None,
        "rescue_enabled": False,
        "locked": project.actions.busy(("server", server.id), locking=True),
        "backup_window": None,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": offer.included_traffic,
        "protection": {"delete": server.delete_protected, "rebuild": server.rebuild_protected},
        "labels": server.labels,
        "volumes": [v.id for v in project.volumes.values() if v.attached and v.server == server.id],
        "load_balancers": _load_balancers(project, server),
        "primary_disk_size": server.disk,
        "placement_group": group and placement_groups.view(project, group),
    }


KIND: Kind[Server] = Kind("server", "servers", lambda project: project.servers, view, {"status": status_of})


def _ipv4_view(address: PrimaryIp) -> JsonObject:
    return {"id": address.id, "ip": address.ip, "blocked": False, "dns_ptr": reverse_name(address.ip)}


def _ipv6_view(address: PrimaryIp) -> JsonObject:
    return {"id": address.id, "ip": address.ip, "blocked": False, "dns_ptr": []}


def _private_view(place: Attachment) -> JsonObject:
    return {
        "network": place.network.id,
        "ip": str(place.ip),
        "alias_ips": list(place.alias_ips),
        "mac_address": place.mac,
    }


def _load_balancers(project: Project, server: Server) -> list[int]:
    return [
        balancer.id
        for balancer in project.load_balancers.values()
        if any(server in servers_of(project, target) for target in balancer.targets)
    ]
