"""Workers, some at a time: each back Ready before the next; masters come first, since a kubelet is never ahead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hetzner_k3s.decide.lifecycle.join import api_url
from hetzner_k3s.decide.lifecycle.workers import WorkerView, view_worker
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.rollout.masters import as_the_file_says
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.model.consents import Rollout
from hetzner_k3s.model.host import HostFacts, UnitFacts
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ReconfigureWorker, Step


def roll_workers(context: ServingContext) -> Proposal | None:
    """Start the next workers anew, as many at a time as the file says, when no master waits for its turn."""
    todo = {} if context.intent.halted else selection.waiting(context)
    if not todo or any(m.name in todo for m in context.control_plane.masters):
        return None
    views = [view_worker(context, spec) for spec in context.spec.workers() if spec.name in todo]
    ready = [view for view in views if view.is_member and view.name not in context.worked_on]
    busy = sum(spec.name in context.worked_on for spec in context.spec.workers())
    room = len(ready) if context.intent.foreseen else max(context.spec.k3s_upgrade_concurrency - busy, 0)
    return Proposal(tuple(_steps(context, ready[:room])))


def _steps(context: ServingContext, views: list[WorkerView]) -> Iterator[PlannedStep]:
    for view in views:
        if view.server is None or view.facts is None:
            continue
        gateway = context.gateway.server
        yield PlannedStep(
            step=ReconfigureWorker(
                target=view.name,
                server_id=view.server.id,
                via=gateway.id,
                server_url=view.facts.disk.config_server or api_url(context, gateway),
            ),
            scope=Scope.WORKER,
            reason=Reason.DIFFERS,
            because="the file says otherwise now, and its pods go on meanwhile",
            consent=context.consents.get(Rollout),
        )


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a worker was started anew."""
    if not isinstance(step, ReconfigureWorker):
        return state

    def anew(facts: HostFacts) -> HostFacts:
        return replace(facts, agent_unit=UnitFacts(active="active"), disk=as_the_file_says(spec, facts.disk))

    back = predictions.with_facts(state, step.server_id, anew)
    return predictions.map_kube(back, lambda kube: predictions.with_ready_node(kube, step.target))
