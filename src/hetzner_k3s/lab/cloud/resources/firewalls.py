"""Firewalls (docs/facts/hetzner-api.md#firewalls)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from hetzner_k3s.lab.cloud import actions, limits
from hetzner_k3s.lab.cloud.actions import Action
from hetzner_k3s.lab.cloud.effects import enforcement, selectors
from hetzner_k3s.lab.cloud.effects.machines import FirewallRule
from hetzner_k3s.lab.cloud.kernel import Process
from hetzner_k3s.lab.cloud.moments import moment
from hetzner_k3s.lab.cloud.project import Project, require_unique
from hetzner_k3s.lab.cloud.records import DescribedRule, Firewall, SelectorMatch, Server
from hetzner_k3s.lab.cloud.requests.endpoint import Answer, Endpoint, Kind, Request
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input, limit_exceeded
from hetzner_k3s.lab.cloud.requests.fields import Body, JsonObject

_PROTOCOLS = ("tcp", "udp", "icmp", "esp", "gre")
_WITH_PORT = ("tcp", "udp")
_PORT = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?\Z", re.ASCII)
_HIGHEST_PORT = 65_535


def view(_: Project, firewall: Firewall) -> JsonObject:
    """Return the JSON object of a firewall."""
    return {
        "id": firewall.id,
        "name": firewall.name,
        "labels": firewall.labels,
        "created": moment(firewall.created),
        "rules": [_rule_view(described) for described in firewall.rules],
        "applied_to": [
            *({"type": "server", "server": {"id": number}} for number in firewall.servers),
            *(_selector_view(match) for match in firewall.selectors),
        ],
    }


def _rule_view(described: DescribedRule) -> JsonObject:
    rule = described.rule
    return {
        "description": described.description,
        "direction": rule.direction,
        "protocol": rule.protocol,
        "port": rule.port,
        "source_ips": list(rule.source_ips),
        "destination_ips": list(rule.destination_ips),
    }


def _selector_view(match: SelectorMatch) -> JsonObject:
    return {
        "type": "label_selector",
        "label_selector": {"selector": match.text},
        "applied_to_resources": [{"type": "server", "server": {"id": number}} for number in sorted(match.matched)],
    }


KIND: Kind[Firewall] = Kind("firewall", "firewalls", lambda project: project.firewalls, view)


def read_rules(body: Body) -> list[DescribedRule]:
    """Read the `rules` of a body."""
    rules = body.objects("rules")
    if len(rules) > limits.RULES_PER_FIREWALL:
        raise invalid_input("rules", f"must not have more than {limits.RULES_PER_FIREWALL} entries")
    return [_read_rule(rule) for rule in rules]


def _read_rule(body: Body) -> DescribedRule:
    direction = body.choice("direction", ("in", "out"))
    protocol = body.choice("protocol", _PROTOCOLS)
    sources, destinations = _cidrs(body, "source_ips"), _cidrs(body, "destination_ips")
    needed = "source_ips" if direction == "in" else "destination_ips"
    if not (sources if direction == "in" else destinations):
        raise invalid_input(body.where(needed), "missing data for required field")
    rule = FirewallRule(direction, protocol, _read_port(body, protocol), sources, destinations)
    return DescribedRule(rule, body.optional_text("description", 255))


def _cidrs(body: Body, field: str) -> tuple[str, ...]:
    try:
        return tuple(str(ipaddress.ip_network(text)) for text in body.texts(field, limits.CIDRS_PER_RULE))
    except ValueError as error:
        raise invalid_input(body.where(field), "is not a valid CIDR without host bits") from error


def _read_port(body: Body, protocol: str) -> str | None:
    port = body.optional_text("port")
    if protocol not in _WITH_PORT:
        if port:
            raise invalid_input(body.where("port"), f"is not allowed for protocol {protocol}")
        return None
    if not port:
        raise invalid_input(body.where("port"), "missing data for required field")
    match = _PORT.match(port)
    bounds = [int(text) for text in match.groups() if text] if match else []
    if port != "any" and (not bounds or bounds != sorted(bounds) or not 1 <= bounds[0] <= bounds[-1] <= _HIGHEST_PORT):
        raise invalid_input(body.where("port"), "is not a valid port or port range")
    return port


def _create(request: Request) -> Answer:
    project, body = request.project, request.body
    name, labels, rules = body.text("name", 128), body.labels(), read_rules(body)
    require_unique(name, project.firewalls.values(), "name")
    if len(project.firewalls) >= project.world.quotas.firewalls:
        raise limit_exceeded("firewall limit exceeded", "firewall_limit")
    world = project.world
    firewall = Firewall(id=world.ids.next(), name=name, created=world.clock.now(), labels=labels, rules=rules)
    targets = _read_targets(project, firewall, body, "apply_to")
    project.firewalls[firewall.id] = firewall
    begun = [_begin(project, firewall, "set_firewall_rules")] if rules else []
    begun += _apply(project, firewall, targets)
    return KIND.answer(201, project, firewall, actions=[actions.view(action) for action in begun])


_Targets = tuple[list[Server], list[SelectorMatch]]


def _read_targets(project: Project, firewall: Firewall, body: Body, field: str) -> _Targets:
    """Read the resources of `apply_to` or `remove_from`; nothing may be named twice."""
    servers: list[Server] = []
    matches: list[SelectorMatch] = []
    for item in body.objects(field):
        if item.choice("type", ("server", "label_selector")) == "server":
            servers.append(_server(project, firewall, item.object("server").integer("id")))
        else:
            text, selector = item.selector()
            matches.append(SelectorMatch(text, selector))
    if len({s.id for s in servers}) < len(servers) or len({m.text for m in matches}) < len(matches):
        raise ApiError("server_already_added", "resource was given more than once")
    return servers, matches


def _server(project: Project, firewall: Firewall, number: int) -> Server:
    """A server that is not there is 422 while the firewall is being made, 404 later.

    See docs/facts/hetzner-api.md#errors-by-operation.
    """
    if number not in project.servers:
        status = 404 if firewall.id in project.firewalls else 422
        raise ApiError("firewall_resource_not_found", f"server with ID '{number}' not found", status=status)
    return project.servers[number]


def _apply(project: Project, firewall: Firewall, targets: _Targets) -> list[Action]:
    servers, matches = targets
    texts = {match.text for match in firewall.selectors}
    if any(server.id in firewall.servers for server in servers) or any(match.text in texts for match in matches):
        raise ApiError("firewall_already_applied", "firewall is already applied to the resource")
    for server in servers:
        enforcement.require_public(server)
        if firewall.id not in server.firewalls:
            enforcement.require_room(project, server, len(firewall.rules))
    firewall.servers += [server.id for server in servers]
    firewall.selectors += matches
    begun = [action for server in servers for action in enforcement.settle(project, server)]
    return begun + [_begin(project, firewall, "apply_firewall", selectors.refresh(project)) for _ in matches]


def _begin(project: Project, firewall: Firewall, command: str, work: Process | None = None) -> Action:
    """Begin an action of the firewall itself."""

    def pause() -> Process:
        yield project.world.pause(command)

    return project.begin(command, work or pause(), ("firewall", firewall.id))


def _many(request: Request, change: Callable[[Project, Firewall, Body], list[Action]]) -> Answer:
    begun = change(request.project, KIND.find(request), request.body)
    return Answer(201, {"actions": [actions.view(action) for action in begun]})


def _apply_to_resources(request: Request) -> Answer:
    return _many(request, lambda p, firewall, body: _apply(p, firewall, _read_targets(p, firewall, body, "apply_to")))


def _remove_from_resources(request: Request) -> Answer:
    return _many(request, _remove)


def _remove(project: Project, firewall: Firewall, body: Body) -> list[Action]:
    servers, matches = _read_targets(project, firewall, body, "remove_from")
    texts = {match.text for match in matches}
    for server in servers:
        if server.id not in firewall.servers:
            managed = firewall.covers(server.id)
            code = "firewall_managed_by_label_selector" if managed else "firewall_already_removed"
            raise ApiError(code, "firewall is not applied to the server directly")
    if not texts <= {match.text for match in firewall.selectors}:
        raise ApiError("firewall_already_removed", "firewall is not applied to the label selector")
    for server in servers:
        firewall.servers.remove(server.id)
    firewall.selectors = [match for match in firewall.selectors if match.text not in texts]
    begun = [action for server in servers for action in enforcement.settle(project, server)]
    return begun + [_begin(project, firewall, "remove_firewall", selectors.refresh(project)) for _ in matches]


def _set_rules(request: Request) -> Answer:
    return _many(request, _replace_rules)


def _replace_rules(project: Project, firewall: Firewall, body: Body) -> list[Action]:
    if not body.has("rules"):
        raise invalid_input("rules", "missing data for required field")
    firewall.rules = read_rules(body)
    covered = [s for s in project.servers.values() if firewall.id in s.firewalls and enforcement.is_settleable(s)]
    begun = [_begin(project, firewall, "set_firewall_rules")]
    return begun + [enforcement.begin_apply(project, server, firewall) for server in covered]


def _update(request: Request) -> Answer:
    return KIND.answer(200, request.project, KIND.rename_and_label(request, max_length=128))


def _delete(request: Request) -> Answer:
    project, firewall = request.project, KIND.find(request)
    covered = any(firewall.id in server.firewalls for server in project.servers.values())
    changing = any(action.running for action in project.actions.of(("firewall", firewall.id)))
    if firewall.servers or firewall.selectors or covered or changing:
        raise ApiError("resource_in_use", "firewall is still applied to a resource")
    del project.firewalls[firewall.id]
    return Answer(204, None)


ENDPOINTS = (
    *KIND.endpoints(),
    Endpoint("POST", "/firewalls", _create),
    Endpoint("PUT", "/firewalls/{id}", _update),
    Endpoint("DELETE", "/firewalls/{id}", _delete),
    Endpoint("POST", "/firewalls/{id}/actions/apply_to_resources", _apply_to_resources),
    Endpoint("POST", "/firewalls/{id}/actions/remove_from_resources", _remove_from_resources),
    Endpoint("POST", "/firewalls/{id}/actions/set_rules", _set_rules),
)
