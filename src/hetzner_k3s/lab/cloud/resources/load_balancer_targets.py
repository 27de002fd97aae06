"""The targets of load balancers: reading, checking and showing them with their health.

See docs/facts/hetzner-api.md#load-balancers.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetzner_k3s.lab.cloud.effects.balancing import servers_of
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import LoadBalancer, SelectorMatch, SelectorTarget, Server, ServerTarget, Target
from hetzner_k3s.lab.cloud.requests.errors import ApiError, limit_exceeded
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject
from hetzner_k3s.lab.cloud.resources.server_view import KIND as SERVERS

Health = dict[tuple[int, int], bool]


def read_target(project: Project, body: Body) -> Target:
    """Read a target."""
    kind = body.choice("type", ("server", "label_selector", "ip"))
    private = body.flag("use_private_ip", False)
    if kind == "server":
        return ServerTarget(SERVERS.get(project, body.object("server").integer("id")), private)
    if kind == "label_selector":
        text, selector = body.selector()
        return SelectorTarget(SelectorMatch(text, selector), private)
    raise ApiError("ip_not_owned", "the lab has no root servers: an IP target is owned by nobody")


def is_same(one: Target, other: Target) -> bool:
    """Check whether two targets name the same server or selector."""
    if isinstance(one, ServerTarget):
        return isinstance(other, ServerTarget) and one.server is other.server
    return isinstance(other, SelectorTarget) and one.match.text == other.match.text


def require_addable(project: Project, balancer: LoadBalancer, target: Target, others: Sequence[Target]) -> None:
    """Refuse a target that is there already, that cannot be reached, or that is one too many."""
    if any(is_same(target, other) for other in others):
        raise ApiError("target_already_defined", "target is already defined")
    if sum(len(servers_of(project, other)) for other in others) >= balancer.type.targets:
        raise limit_exceeded("target limit of the load balancer reached", "load_balancer_target_limit")
    if target.use_private_ip and balancer.attachment is None:
        raise ApiError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    if not target.use_private_ip and not balancer.public_interface:
        raise ApiError("load_balancer_public_interface_disabled", "public interface of the load balancer is disabled")
    if isinstance(target, ServerTarget):
        _require_reachable(balancer, target)


def _require_reachable(balancer: LoadBalancer, target: ServerTarget) -> None:
    if not target.use_private_ip and target.server.ipv4 is None:
        raise ApiError("resolve_cloud_public_targets_error", "server has no public IPv4")
    shared = balancer.attachment and target.server.attachment(balancer.attachment.network)
    if target.use_private_ip and shared is None:
        raise ApiError("resolve_cloud_private_targets_error", "server is not attached to the load balancer's network")


def target_view(project: Project, balancer: LoadBalancer, target: Target, health: Health) -> JsonObject:
    """Return the JSON object of a target."""
    if isinstance(target, ServerTarget):
        return _server_view(balancer, target.server, target.use_private_ip, health)
    nested = [_server_view(balancer, server, target.use_private_ip, health) for server in servers_of(project, target)]
    return {
        "type": "label_selector",
        "label_selector": {"selector": target.match.text},
        "use_private_ip": target.use_private_ip,
        "targets": nested,
    }


def _server_view(balancer: LoadBalancer, server: Server, use_private_ip: bool, health: Health) -> JsonObject:
    words = {True: "healthy", False: "unhealthy", None: "unknown"}
    ports = (service.listen_port for service in balancer.services)
    return {
        "type": "server",
        "server": {"id": server.id},
        "use_private_ip": use_private_ip,
        "health_status": [{"listen_port": port, "status": words[health.get((server.id, port))]} for port in ports],
    }
