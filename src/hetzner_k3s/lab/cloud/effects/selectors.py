"""Label selectors of firewalls and load balancers: found again a little after servers or labels change."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects import balancing, enforcement
from hetzner_k3s.lab.cloud.kernel import Process
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import SelectorMatch


def refresh_soon(project: Project) -> None:
    """See to it that selectors are evaluated after the present change (one evaluation serves several changes)."""
    if not project.refresh_pending:
        project.refresh_pending = True
        project.world.timeline.start(_pending_refresh(project))


def _pending_refresh(project: Project) -> Process:
    yield project.world.pause("selector_refresh")
    project.refresh_pending = False
    evaluate(project)


def refresh(project: Project) -> Process:
    """Evaluate selectors as the work of an action."""
    yield project.world.pause("selector_refresh")
    evaluate(project)


def evaluate(project: Project) -> None:
    """Find what matches now, and begin to bring it to servers and load balancers."""
    for firewall in project.firewalls.values():
        for match in firewall.selectors:
            _match(project, match)
    for balancer in project.load_balancers.values():
        for target in balancer.selector_targets():
            _match(project, target.match)
    for server in list(project.servers.values()):
        enforcement.settle(project, server)
    balancing.settle_all(project)


def _match(project: Project, match: SelectorMatch) -> None:
    alive = (server for server in project.servers.values() if server.status != "deleting")
    match.matched = {server.id for server in alive if match.selector.matches(server.labels)}
