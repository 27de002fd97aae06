"""A new k3s is fetched and verified on all hosts, at once, before the first of them is restarted with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.plan import PlannedStep, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import StageK3s, Step


def stage_k3s(context: ServingContext) -> Proposal | None:
    """Have the file's k3s lie ready on every host that is to run it."""
    missing = _missing(context, selection.waiting(context))
    return Proposal(tuple(_staging(context, server) for server in missing)) if missing else None


def release_of(context: ServingContext, remedies: frozenset[Remedy]) -> str | None:
    """Return the release that a server with these remedies is to be restarted with, None where it keeps its own."""
    return str(context.spec.k3s_version) if Remedy.UPGRADE in remedies else None


def all_ready(context: ServingContext, todo: Mapping[str, frozenset[Remedy]]) -> bool:
    """Check whether the release lies ready wherever it is to run, of the servers that wait for a rollout."""
    return not _missing(context, todo)


def _missing(context: ServingContext, todo: Mapping[str, frozenset[Remedy]]) -> tuple[Server, ...]:
    wanted = str(context.spec.k3s_version)
    upgraded = (name for name, remedies in todo.items() if Remedy.UPGRADE in remedies)
    servers = (server for name in upgraded if (server := context.server(name)) is not None)
    return tuple(s for s in servers if (f := context.state.facts(s.id)) is not None and f.staged != wanted)


def _staging(context: ServingContext, server: Server) -> PlannedStep:
    step = StageK3s(target=server.name, server_id=server.id, version=str(context.spec.k3s_version))
    scope = Scope.CONTROL_PLANE if server.name in context.spec.master_names else Scope.WORKER
    return selection.planned(
        context, step, "it is verified on all hosts before the first one is restarted with it", scope
    )


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a release lies ready."""
    if not isinstance(step, StageK3s):
        return state
    return predictions.with_facts(state, step.server_id, lambda facts: replace(facts, staged=step.version))
