"""Firewalls on servers: who is covered, which rules hold together, and bringing them to the machines."""

from __future__ import annotations

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.actions import Action
from hetzner_k3s.lab.cloud.effects import power
from hetzner_k3s.lab.cloud.effects.machines import FirewallRule
from hetzner_k3s.lab.cloud.kernel import Call, Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Firewall, Server
from hetzner_k3s.lab.cloud.requests.errors import ApiError, limit_exceeded


def effective_rules(project: Project, server: Server) -> tuple[FirewallRule, ...] | None:
    """Return the rules that hold for a server: those of all its firewalls, None when it has no firewall."""
    firewalls = [project.firewalls[number] for number in server.firewalls]
    if not firewalls:
        return None
    return tuple(described.rule for firewall in firewalls for described in firewall.rules)


def push(project: Project, server: Server) -> Call:
    """Bring the rules that hold at the moment of the call to the machine."""
    machines = project.world.machines
    return power.call(server, lambda: machines.firewall(server.id, effective_rules(project, server)))


def is_settleable(server: Server) -> bool:
    """Check whether a server's machine exists and has a public interface to guard."""
    return server.is_public and server.has_machine


def settle(project: Project, server: Server) -> list[Action]:
    """Begin to apply what newly covers a server and to remove what does not cover it any more."""
    if not is_settleable(server):
        return []
    covering = [firewall for firewall in project.firewalls.values() if firewall.covers(server.id)]
    added = [firewall for firewall in covering if firewall.id not in server.firewalls]
    kept = {firewall.id for firewall in covering}
    dropped = [project.firewalls[number] for number in server.firewalls if number not in kept]
    removing = [begin_remove(project, server, firewall) for firewall in dropped]
    room = limits.FIREWALLS_PER_SERVER - len(kept & server.firewalls.keys())
    return removing + [begin_apply(project, server, firewall) for firewall in added[: max(0, room)]]


def begin_apply(project: Project, server: Server, firewall: Firewall) -> Action:
    """Begin to apply a firewall (again) to a server."""
    server.firewalls[firewall.id] = "pending"
    return _begin(project, server, firewall, "apply_firewall", apply(project, server, firewall))


def begin_remove(project: Project, server: Server, firewall: Firewall) -> Action:
    """Begin to take a firewall away from a server."""
    del server.firewalls[firewall.id]
    return _begin(project, server, firewall, "remove_firewall", _remove(project, server))


def require_room(project: Project, server: Server, rules: int) -> None:
    """Refuse a sixth firewall or a 501st rule of a server."""
    if len(server.firewalls) >= limits.FIREWALLS_PER_SERVER:
        raise limit_exceeded("firewall limit of the server reached", "firewall_limit")
    if len(effective_rules(project, server) or ()) + rules > limits.EFFECTIVE_RULES:
        raise limit_exceeded("effective rules limit of the server reached", "effective_rules_limit")


def require_public(server: Server) -> None:
    """Refuse a firewall for a server without a public interface."""
    if not server.is_public:
        raise ApiError("private_net_only_server", "the server has no public network interface")


def apply(project: Project, server: Server, firewall: Firewall) -> Process:
    """Apply a firewall: it is `pending` until the machine has the rules."""
    yield project.world.pause("apply_firewall")
    if firewall.id not in project.firewalls or firewall.id not in server.firewalls:
        return
    yield push(project, server)
    if firewall.id in server.firewalls:
        server.firewalls[firewall.id] = "applied"


def _remove(project: Project, server: Server) -> Process:
    yield project.world.pause("apply_firewall")
    yield push(project, server)


def _begin(project: Project, server: Server, firewall: Firewall, command: str, work: Process) -> Action:
    return project.begin(command, work, ("server", server.id), ("firewall", firewall.id), owner=server.id)
