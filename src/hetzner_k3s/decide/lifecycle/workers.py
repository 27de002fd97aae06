"""Workers: each a scope of its own, a pure function of that worker and of what the control plane offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hetzner_k3s.decide.identity import ca_pins
from hetzner_k3s.decide.lifecycle.join import api_url
from hetzner_k3s.decide.lifecycle.provision import prepare
from hetzner_k3s.decide.repair import reconnect, stopped_workers
from hetzner_k3s.decide.repair.power import powering, rest
from hetzner_k3s.decide.repair.silence import attaching, cure_of_silence
from hetzner_k3s.decide.repair.stale_nodes import stale_node
from hetzner_k3s.decide.view import given_up, predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.node_machine import NamedServer, whereabouts
from hetzner_k3s.decide.view.stage import NEVER_STARTED, TROUBLED, Stage, contact_stage
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import private_ip
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Wait, Way
from hetzner_k3s.model.spec import ClusterSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import JoinWorker, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView(NamedServer):
    """A wanted worker and how far it has come; server and Node share its name."""

    spec: WorkerSpec
    node: KubeNode | None
    stage: Stage
    detail: str


def view_worker(context: DecisionContext, spec: WorkerSpec) -> WorkerView:
    """Return how far a worker has come."""
    server, node = context.server(spec.name), context.node(spec.name)
    if server is None:
        return WorkerView(name=spec.name, spec=spec, server=None, facts=None, node=node, stage=Stage.ABSENT, detail="")
    registered = node is not None and node.machine == server.id
    stage, detail = contact_stage(server, context.state, committed=registered)
    facts = context.state.facts(server.id)
    if facts is not None and stage is Stage.BARE:
        recorded = node is not None and node.server_id == server.id
        stage, detail = _agent_stage(facts, node if recorded else None)
    return WorkerView(name=spec.name, spec=spec, server=server, facts=facts, node=node, stage=stage, detail=detail)


def _agent_stage(facts: HostFacts, node: KubeNode | None) -> tuple[Stage, str]:
    if node is not None:
        return (Stage.MEMBER, "") if node.ready else (Stage.SICK, "its Node is NotReady")
    if not (facts.boot_finished and facts.k3s_version and facts.agent_unit.installed):
        return Stage.BARE, ""
    if facts.disk.agent_ca is None and facts.agent_unit.active in {"inactive", "failed"}:
        return Stage.READY, ""
    return Stage.JOINING, ""


def workers_explained(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while a worker is in a state that only its owner can judge.

    Masters come first: a worker may be NotReady because the one API server that it knows is lost, and only the repair
    that this would stop brings it back.
    """
    if isinstance(context, ServingContext) and _masters_are_under_way(context):
        return ()
    views = [view_worker(context, spec) for spec in context.spec.workers()]
    return tuple(
        _troubled(context, v, v.server)
        for v in views
        if v.server is not None and v.stage in _CODE and not _explained(context, v.server, v.facts)
    )


def _explained(context: DecisionContext, server: Server, facts: HostFacts | None) -> bool:
    if facts is None:
        return False
    return given_up.left_over(context, facts) or (
        isinstance(context, ServingContext) and _is_seen_to(context, server, facts)
    )


def _is_seen_to(context: ServingContext, server: Server, facts: HostFacts) -> bool:
    waits_for_pin = ca_pins.waits(context, server, facts) and ca_pins.is_due(context, server, facts)
    started = stopped_workers.is_stopped(context, server, facts)
    return waits_for_pin or started or reconnect.is_lost(context, facts)


_UNDER_WAY = NEVER_STARTED | {Stage.JOINING, Stage.UNMARKED, Stage.LOCKED_OUT}


def _masters_are_under_way(context: ServingContext) -> bool:
    """Check whether the control plane is being repaired or completed, with nothing that stops it."""
    stages = {master.stage for master in context.control_plane.masters}
    return bool(stages & _UNDER_WAY) and not stages & TROUBLED


_CODE = {
    Stage.SILENT: "worker.unreachable",
    Stage.KEY_CHANGED: "worker.key-changed",
    Stage.DENIED: "worker.denied",
    Stage.REBUILT: "worker.rebuilt",
    Stage.SICK: "worker.not-ready",
}

_ADVICE = {
    Stage.KEY_CHANGED: "Look through Hetzner's console which machine it is, and give it its old host key back.",
    Stage.DENIED: "Let the key of networking.ssh in again (authorized_keys of root).",
    Stage.REBUILT: "If it is to stay as it is, rename it and delete its Node (`kubectl delete node {}`).",
    Stage.SICK: "Look at it: `journalctl -u k3s-agent` on its host.",
}


_MADE_ANEW = "Or delete the server at Hetzner and run `create` again to have it made anew."


def _troubled(context: DecisionContext, worker: WorkerView, server: Server) -> Refusal:
    known, cure = _known(context, worker, server)
    advice = _ADVICE.get(worker.stage, "").format(worker.name)
    return Refusal(
        code=_CODE[worker.stage],
        saw=f"Worker {worker.name} ({whereabouts(server)}) {_clause(worker.stage)}: {worker.detail}.{known}",
        why="The server exists and may run workloads or hold local volumes; it is neither replaced nor restarted.",
        you_can=f"{cure}{advice}".rstrip(),
        ways=(Way(text=_MADE_ANEW, deletes=frozenset({worker.name})),),
        transient=worker.stage is Stage.SICK and worker.facts is not None and worker.facts.agent_unit.runs,
    )


def _known(context: DecisionContext, worker: WorkerView, server: Server) -> tuple[str, str]:
    """Return what is known beside of a worker that is silent, or without the address of its Node, and the cure."""
    if worker.stage is Stage.SILENT:
        return cure_of_silence(context, server)
    address = worker.node.internal_ip if worker.node else None
    if (
        worker.stage is not Stage.SICK
        or not address
        or private_ip(server, context.control_plane.network_id) is not None
    ):
        return "", ""
    return f" It has no address in the cluster's network; its Node has {address}.", attaching(context, server, address)


def _clause(stage: Stage) -> str:
    return stage.value if stage in {Stage.KEY_CHANGED, Stage.DENIED} else f"is {stage.value}"


def bring_up_workers(context: DecisionContext) -> Proposal | None:
    """Plan each worker by itself, up to the start of k3s."""
    views = _views(context)
    return Proposal(tuple(step for v in views for step in _prepared(context, v)), _changing(views))


def join_workers(context: ServingContext) -> Proposal | None:
    """Plan each worker by itself, up to its Node."""
    views = _views(context)
    steps = (step for v in views for step in (*_prepared(context, v), *_led_in(context, v)))
    return Proposal(tuple(steps), _changing(views))


def _views(context: DecisionContext) -> list[WorkerView]:
    """Return the workers of the file, without those that are yet of a cluster that was given up."""
    views = (view_worker(context, spec) for spec in context.spec.workers())
    return [view for view in views if not given_up.left_over(context, view.facts)]


def _changing(views: list[WorkerView]) -> tuple[Wait, ...]:
    return tuple(rest(v.server) for v in views if v.server is not None and v.stage is Stage.CHANGING)


def _prepared(context: DecisionContext, worker: WorkerView) -> tuple[PlannedStep, ...]:
    if worker.server is not None and worker.stage is Stage.OFF:
        via = context.control_plane.gateway.server if context.control_plane.gateway else None
        return (powering(worker.server, Scope.WORKER, via, joined=True),)
    if worker.server is None and context.replacing:
        return ()  # it must not take the address that the dead member's successor will get
    because = "the file asks for it" if worker.node is None else "its server is gone: no listing and no id shows it"
    return prepare(context, worker.spec, worker.server, worker.stage, because)


def _led_in(context: ServingContext, worker: WorkerView) -> tuple[PlannedStep, ...]:
    """Plan its join, or before that the end of a Node that an earlier machine of its name left."""
    if context.control_plane.kube is None:
        return ()
    stale = stale_node(context, worker) if _has_anothers_node(worker) else None
    if stale is not None:
        return (stale,)
    lost = worker.facts is not None and reconnect.is_lost(context, worker.facts)
    if worker.server is not None and worker.stage in {Stage.READY, Stage.JOINING} and not lost:
        return (_join(context, worker, worker.server),)
    return ()


def _has_anothers_node(worker: WorkerView) -> bool:
    """Check whether a Node of the worker's name is, or may be, of an earlier machine.

    An agent that was started beside its predecessor's Node is refused until that is gone
    (docs/facts/k3s.md#node-password).
    """
    if worker.stage in NEVER_STARTED:
        return True
    machine = worker.node.machine if worker.node else None
    return worker.stage is Stage.JOINING and machine is not None


def _join(context: ServingContext, worker: WorkerView, server: Server) -> PlannedStep:
    return PlannedStep(
        step=JoinWorker(
            target=worker.name,
            server_id=server.id,
            via=context.gateway.server.id,
            server_url=api_url(context, context.gateway.server),
        ),
        scope=Scope.WORKER,
        reason=Reason.UNFINISHED if worker.stage is Stage.JOINING else Reason.MISSING,
        because=f"its host is empty, and the API of {context.gateway.server.name} answers",
    )


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a worker joined."""
    return predict_together(spec, state, (step,)) if isinstance(step, JoinWorker) else state


def predict_together(_spec: ClusterSpec, state: ClusterState, steps: Sequence[Step]) -> ClusterState:
    """Return what the world looks like after many workers joined."""
    return predictions.with_workers(state, [step.server_id for step in steps if isinstance(step, JoinWorker)])
