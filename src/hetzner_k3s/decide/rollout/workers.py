"""Workers, some at a time: each back Ready before the next; masters come first, since a kubelet is never ahead.

A restart of the agent stops no container, so for another configuration nothing is drained. Another k3s brings another
kubelet: its Node is cordoned and drained before, and takes pods again when it is back.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.lifecycle.emptying import Why, emptying
from hetzner_k3s.decide.lifecycle.join import api_url
from hetzner_k3s.decide.lifecycle.workers import WorkerView, view_worker
from hetzner_k3s.decide.rollout import replacing, selection, staging
from hetzner_k3s.decide.rollout.masters import as_the_file_says, with_release
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.host import HostFacts, UnitFacts
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ReconfigureWorker, Step

TAKES_PODS_WITHIN: Final = 300.0
"""Seconds given to a worker that has joined to take pods: until a cloud controller has seen it."""


def roll_workers(context: ServingContext) -> Proposal | None:
    """Lead the next workers through their restart, as many at a time as the file says, when no master waits for its."""
    todo = {} if context.intent.halted else selection.waiting(context)
    masters = context.control_plane.masters
    if not todo or any(m.name in todo or not m.is_member for m in masters) or not staging.all_ready(context, todo):
        return None
    views = [view_worker(context, spec) for spec in context.spec.workers()]
    anew = selection.made_anew(context)
    late = _late(views, todo)
    held = {view.spec.pool for view in late}
    free = [v for v in views if v.name not in context.worked_on and not _is_held(v, todo, held)]
    ready = [v for v in free if v.name in todo and (v.is_member or v.name == anew)]
    begun, fresh = [v for v in ready if _is_begun(v)], [v for v in ready if not _is_begun(v)]
    own = [v for v in views if not v.spec.surge]
    away = sum(v.name in context.worked_on or not (v.is_member or v.name == anew) for v in own)
    room = max(context.spec.k3s_upgrade_concurrency - len(begun) - away, 0)
    chosen = fresh if context.intent.foreseen else fresh[:room]
    steps = (step for view in (*begun, *chosen) if (step := _next(context, view, todo[view.name])) is not None)
    return Proposal(tuple(steps), tuple(_to_take_pods(view) for view in late if view.is_member))


def _late(views: list[WorkerView], todo: Collection[str]) -> list[WorkerView]:
    """Return what has to take pods before the next one is drained: surge servers, and beside those what is new.

    A new worker is Ready a while before a cloud controller has seen it, and until then no pod is put there.
    """
    pools = {view.spec.pool for view in views if view.spec.surge}
    beside = [view for view in views if view.spec.pool in pools and view.name not in todo]
    return [v for v in beside if not v.takes_pods and (v.spec.surge or (v.node is not None and v.node.uninitialized))]


def _is_held(view: WorkerView, todo: Mapping[str, frozenset[Remedy]], pools: Collection[str]) -> bool:
    """Check whether a worker that is made anew has to stay until the others of its pool take pods."""
    return Remedy.REPLACE in todo.get(view.name, ()) and view.spec.pool in pools


def _to_take_pods(view: WorkerView) -> Wait:
    because = f"no worker of pool {view.spec.pool} is drained before"
    return Wait(what=f"{view.name} to take pods", because=because, deadline=TAKES_PODS_WITHIN)


def _is_begun(view: WorkerView) -> bool:
    return view.node is not None and view.node.leaving is not None


def _next(context: ServingContext, view: WorkerView, remedies: frozenset[Remedy]) -> PlannedStep | None:
    release = staging.release_of(context, remedies)
    if view.server is None:
        return None
    if Remedy.REPLACE in remedies:
        return replacing.of_worker(context, view, view.server)
    if view.facts is None:
        return None
    if Remedy.RESIZE in remedies:
        return replacing.resizing(context, view, view.server, Scope.WORKER)
    emptied = None if release is None else emptying(context, view.node, Scope.WORKER, _away(context, release))
    return emptied or _restart(context, view, view.server, release)


def _away(context: ServingContext, release: str) -> Why:
    return Why(
        cordon=f"it gets k3s {release}, and nothing new may come meanwhile",
        drain="its pods run elsewhere while its kubelet is replaced",
        reason=Reason.DIFFERS,
        consent=selection.consent_of(context),
        disk_stays=True,
    )


def _restart(context: ServingContext, view: WorkerView, server: Server, release: str | None) -> PlannedStep:
    gateway, named = context.gateway.server, view.facts.disk.config_server if view.facts is not None else None
    step = ReconfigureWorker(
        target=view.name,
        server_id=server.id,
        via=gateway.id,
        version=release,
        server_url=named or api_url(context, gateway),
    )
    if release is None:
        because = "the file says otherwise now, and its pods go on meanwhile"
    else:
        because = f"it gets k3s {release}, and its pods run elsewhere"
    return selection.planned(context, step, because, Scope.WORKER)


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a worker was started anew."""
    if not isinstance(step, ReconfigureWorker):
        return state

    def anew(facts: HostFacts) -> HostFacts:
        unit, disk = UnitFacts(active="active"), as_the_file_says(spec, facts.disk)
        return replace(with_release(facts, step.version), agent_unit=unit, disk=disk)

    back = predictions.with_facts(state, step.server_id, anew)
    return predictions.map_kube(back, lambda kube: predictions.with_ready_node(kube, step.target))
