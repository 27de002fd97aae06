"""Which k3s is installed: what the cluster runs, never what the file has moved on to.

See docs/facts/recovery.md#running-version.
"""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.version import K3sVersion


def running_version(context: DecisionContext) -> str:
    """Return the version to install: the lowest that a healthy voter runs where there is one, else the file's.

    A replacement that is newer than the rest would be an upgrade in disguise; one that is newer than some of them, in
    the middle of an upgrade, an upgrade out of turn.
    """
    return str(_live(context) or context.spec.k3s_version)


def _live(context: DecisionContext) -> K3sVersion | None:
    if context.control_plane.gateway is None:
        return _of_agents(context)
    told = (m.facts.k3s_version for m in context.control_plane.all_masters if m.facts and m.facts.serves)
    return min((parsed for tag in told if (parsed := parsed_release(tag)) is not None), default=None)


def _of_agents(context: DecisionContext) -> K3sVersion | None:
    """Return what the workers of a born cluster run whose masters are silent or lost: its masters ran no older one."""
    if context.control_plane.record.phase is not Phase.BORN:
        return None
    seen = (context.state.facts(server.id) for server in lookup.owned_servers(context.spec.name, context.view))
    told = (facts.k3s_version for facts in seen if facts is not None and facts.agent_unit.installed)
    return max((parsed for tag in told if (parsed := parsed_release(tag)) is not None), default=None)


def parsed_release(tag: str | None) -> K3sVersion | None:
    """Read a release tag that a host told, None where it is none."""
    try:
        return K3sVersion.parse(tag or "")
    except ValueError:
        return None
