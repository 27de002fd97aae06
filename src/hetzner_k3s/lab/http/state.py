"""The whole state of the cloud as JSON, for people and tests."""

from __future__ import annotations

from typing import Any

from hetzner_k3s.lab.cloud import actions
from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.requests.endpoint import Kind
from hetzner_k3s.lab.cloud.resources import (
    firewalls,
    floating_ips,
    load_balancers,
    networks,
    placement_groups,
    primary_ips,
    server_view,
    ssh_keys,
    volumes,
)

_KINDS: tuple[Kind[Any], ...] = (
    server_view.KIND,
    networks.KIND,
    firewalls.KIND,
    load_balancers.KIND,
    placement_groups.KIND,
    ssh_keys.KIND,
    primary_ips.KIND,
    floating_ips.KIND,
    volumes.KIND,
)


def dump(cloud: Cloud) -> dict[str, Any]:
    """Return every resource and action of every project as the API would show it."""
    return {
        "now": cloud.world.clock.now(),
        "next_event_in": _next_event(cloud),
        "projects": {name: _project(project) for name, project in cloud.projects.items()},
    }


def listing(cloud: Cloud, project: str, plural: str) -> list[dict[str, Any]] | None:
    """Return the resources of one kind as the API would show them, None for a kind or project that there is not."""
    kind = next((kind for kind in _KINDS if kind.plural == plural), None)
    opened = cloud.projects.get(project)
    if kind is None or opened is None:
        return None
    return [kind.view(opened, item) for item in kind.store(opened).values()]


def _next_event(cloud: Cloud) -> float | None:
    due = cloud.world.timeline.next_due()
    return None if due is None else due - cloud.world.clock.monotonic()


def _project(project: Project) -> dict[str, Any]:
    state = {kind.plural: [kind.view(project, item) for item in kind.store(project).values()] for kind in _KINDS}
    return {**state, "actions": [actions.view(action) for action in project.actions.all()]}
