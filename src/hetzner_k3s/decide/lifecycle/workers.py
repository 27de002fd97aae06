"""Workers: each a scope of its own, a pure function of that worker and of what the control plane offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hetzner_k3s.decide.desired import internet
from hetzner_k3s.decide.identity import ca_pins
from hetzner_k3s.decide.lifecycle.join import api_url
from hetzner_k3s.decide.lifecycle.provision import prepare
from hetzner_k3s.decide.repair import reconnect, stopped_workers
from hetzner_k3s.decide.repair.power import powering, rest
from hetzner_k3s.decide.repair.silence import attaching, cure_of_silence
from hetzner_k3s.decide.repair.stale_nodes import stale_node
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view import given_up, predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.servers.contact import Barrier, Contact, NotReached, Reached, reach
from hetzner_k3s.decide.view.servers.k3s import K3s, k3s_of_worker
from hetzner_k3s.decide.view.servers.membership import Membership, membership_of_worker
from hetzner_k3s.decide.view.servers.server_view import ServerView, Trouble
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Surge
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Wait, Way
from hetzner_k3s.model.spec import ClusterSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import JoinWorker, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerView(ServerView):
    """A wanted worker as it was seen; server and Node share its name."""

    spec: WorkerSpec
    node: KubeNode | None

    @property
    def takes_pods(self) -> bool:
        """Check whether pods are put there, as far as we have a hand in it: a cordon of the user's is not looked at."""
        node = self.node
        return self.is_member and node is not None and node.leaving is None and not node.uninitialized


def view_worker(context: DecisionContext, spec: WorkerSpec) -> WorkerView:
    """Return a worker of the file as it was seen."""
    server, node = context.server(spec.name), context.node(spec.name)
    if server is None:
        return WorkerView(
            name=spec.name,
            spec=spec,
            server=None,
            facts=None,
            node=node,
            contact=NotReached(Barrier.ABSENT),
            membership=Membership.NONE,
        )
    membership = membership_of_worker(server, node)
    return WorkerView(
        name=spec.name,
        spec=spec,
        server=server,
        facts=context.state.facts(server.id),
        node=node,
        contact=_contact(context, server, node, membership),
        membership=membership,
    )


def _contact(context: DecisionContext, server: Server, node: KubeNode | None, membership: Membership) -> Contact:
    found = reach(server, context.state, joined=membership.joined)
    if isinstance(found, NotReached):
        return found
    return Reached(*k3s_of_worker(found, node if membership is Membership.RECORDED else None))


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
        if v.server is not None and v.trouble in _CODE and not _explained(context, v.server, v.facts)
    )


def _explained(context: DecisionContext, server: Server, facts: HostFacts | None) -> bool:
    if server.name in context.worked_on or server.name == selection.made_anew(context):
        return True
    if facts is None:
        return False
    return given_up.left_over(context, facts) or (
        isinstance(context, ServingContext) and _is_seen_to(context, server, facts)
    )


def _is_seen_to(context: ServingContext, server: Server, facts: HostFacts) -> bool:
    waits_for_pin = ca_pins.waits(context, server, facts) and ca_pins.is_due(context, server, facts)
    started = stopped_workers.is_stopped(context, server, facts)
    return waits_for_pin or started or reconnect.is_lost(context, facts)


def _masters_are_under_way(context: ServingContext) -> bool:
    """Check whether the control plane is being repaired or completed, with nothing that stops it."""
    masters = context.control_plane.masters
    return any(map(_is_under_way, masters)) and all(master.trouble is None for master in masters)


def _is_under_way(master: MasterView) -> bool:
    return master.has_yet_to_join or master.has_yet_to_be_recorded or master.k3s is K3s.LOCKED_OUT


_CODE: dict[Trouble | None, str] = {
    Barrier.SILENT: "worker.unreachable",
    Barrier.KEY_CHANGED: "worker.key-changed",
    Barrier.DENIED: "worker.denied",
    Barrier.REBUILT: "worker.rebuilt",
    K3s.SICK: "worker.not-ready",
}

_ADVICE: dict[Trouble | None, str] = {
    Barrier.KEY_CHANGED: "Look through Hetzner's console which machine it is, and give it its old host key back.",
    Barrier.DENIED: "Let the key of networking.ssh in again (authorized_keys of root).",
    Barrier.REBUILT: "If it is to stay as it is, rename it and delete its Node (`kubectl delete node {}`).",
    K3s.SICK: "Look at it: `journalctl -u k3s-agent` on its host.",
}


_MADE_ANEW = "Or delete the server at Hetzner and run `create` again to have it made anew."


def _troubled(context: DecisionContext, worker: WorkerView, server: Server) -> Refusal:
    known, cure = _known(context, worker, server)
    advice = _ADVICE.get(worker.trouble, "").format(worker.name)
    return Refusal(
        code=_CODE[worker.trouble],
        saw=f"Worker {worker.name} ({whereabouts(server)}) {_clause(worker)}: {worker.detail}.{known}",
        why="The server exists and may run workloads or hold local volumes; it is neither replaced nor restarted.",
        you_can=f"{cure}{advice}".rstrip(),
        ways=(Way(text=_MADE_ANEW, deletes=frozenset({worker.name})),),
        transient=worker.not_ready and worker.facts is not None and worker.facts.agent_unit.runs,
    )


def _known(context: DecisionContext, worker: WorkerView, server: Server) -> tuple[str, str]:
    """Return what is known beside of a worker that is silent, or without the address of its Node, and the cure."""
    if worker.barrier is Barrier.SILENT:
        return cure_of_silence(context, server)
    address = worker.node.internal_ip if worker.node else None
    if not worker.not_ready or not address or context.control_plane.internal_ips.of(server) is not None:
        return "", ""
    return f" It has no address in the cluster's network; its Node has {address}.", attaching(context, server, address)


def _clause(worker: WorkerView) -> str:
    verb = "" if worker.barrier in {Barrier.KEY_CHANGED, Barrier.DENIED} else "is "
    return f"{verb}{worker.condition}"


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
    return tuple(rest(v.server) for v in views if v.server is not None and v.barrier is Barrier.CHANGING)


def _prepared(context: DecisionContext, worker: WorkerView) -> tuple[PlannedStep, ...]:
    if worker.server is not None and worker.barrier is Barrier.OFF:
        via = context.control_plane.gateway.server if context.control_plane.gateway else None
        return (powering(worker.server, Scope.WORKER, via, joined=True),)
    if worker.server is None and context.replacing:
        return ()  # it must not take the address that the dead member's successor will get
    if worker.spec.surge:
        steps = prepare(context, worker, f"pods need room while workers of pool {worker.spec.pool} are made anew")
        return tuple(replace(step, consent=context.consents.get(Surge)) for step in steps)
    because = "the file asks for it" if worker.node is None else "its server is gone: no listing and no id shows it"
    return prepare(context, worker, because)


def _led_in(context: ServingContext, worker: WorkerView) -> tuple[PlannedStep, ...]:
    """Plan its join, or before that the end of a Node that an earlier machine of its name left."""
    if context.control_plane.kube is None:
        return ()
    stale = stale_node(context, worker) if _has_anothers_node(worker) else None
    if stale is not None:
        return (stale,)
    lost = worker.facts is not None and reconnect.is_lost(context, worker.facts)
    if worker.server is not None and worker.may_join_now and not lost and internet.is_let_in(context, worker.server):
        return (_join(context, worker, worker.server),)
    return ()


def _has_anothers_node(worker: WorkerView) -> bool:
    """Check whether a Node of the worker's name is, or may be, of an earlier machine.

    An agent that was started beside its predecessor's Node is refused until that is gone
    (docs/facts/k3s.md#node-password).
    """
    if worker.never_started:
        return True
    machine = worker.node.machine if worker.node else None
    return worker.k3s is K3s.JOINING and machine is not None


def _join(context: ServingContext, worker: WorkerView, server: Server) -> PlannedStep:
    return PlannedStep(
        step=JoinWorker(
            target=worker.name,
            server_id=server.id,
            via=context.gateway.server.id,
            server_url=api_url(context, context.gateway.server),
        ),
        scope=Scope.WORKER,
        reason=Reason.UNFINISHED if worker.k3s is K3s.JOINING else Reason.MISSING,
        because=f"its host is empty, and the API of {context.gateway.server.name} answers",
    )


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a worker joined."""
    return predict_together(spec, state, (step,)) if isinstance(step, JoinWorker) else state


def predict_together(_spec: ClusterSpec, state: ClusterState, steps: Sequence[Step]) -> ClusterState:
    """Return what the world looks like after many workers joined."""
    return predictions.with_workers(state, [step.server_id for step in steps if isinstance(step, JoinWorker)])
