"""Workers whose agent was stopped: started again, as a stopped master is.

A Node that is NotReady is a riddle, since its host may still run pods; one whose agent does not run is none. Its pods
go on without it (`KillMode=process`), and the next agent goes on with its Node
(docs/facts/k3s.md#kubelet-reuses-its-node), so a start loses nothing.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.identity import ca_pins
from hetzner_k3s.decide.repair import reconnect
from hetzner_k3s.decide.view import given_up, predictions
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.decide.view.servers.membership import Membership, membership_of_worker
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts, HostKeyKind, UnitFacts
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import StartWorker, Step


def start_workers(context: ServingContext) -> Proposal | None:
    """Plan the start of every agent that was stopped, once its token fits: each is a worker of its own."""
    servers = filter(None, (context.server(spec.name) for spec in context.spec.workers()))
    seen = [(server, facts) for server in servers if (facts := context.state.facts(server.id)) is not None]
    steps = [
        _planned(context, server)
        for server, facts in seen
        if is_stopped(context, server, facts) and not ca_pins.is_due(context, server, facts)
    ]
    return Proposal(tuple(steps)) if steps else None


def is_stopped(context: ServingContext, server: Server, facts: HostFacts) -> bool:
    """Check whether a worker had joined, holds this cluster's CA, and only its agent does not run.

    One that knows no living master is not started: it would wait for ever.
    """
    node = context.node(server.name)
    if node is None or node.deleting or membership_of_worker(server, node) is not Membership.RECORDED:
        return False
    if facts.key is not HostKeyKind.FINAL or facts.agent_unit.active not in {"inactive", "failed"}:
        return False
    ours = facts.disk.configured and facts.disk.trusts(context.gateway.facts.disk)
    return ours and reconnect.knows_a_living_master(context, facts) and not given_up.left_over(context, facts)


def _planned(context: ServingContext, server: Server) -> PlannedStep:
    return PlannedStep(
        step=StartWorker(target=server.name, server_id=server.id, via=context.gateway.server.id),
        scope=Scope.WORKER,
        reason=Reason.UNFINISHED,
        because="its k3s-agent is stopped: started, it goes on as the node it is, and its pods stay",
    )


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after an agent was started."""
    if not isinstance(step, StartWorker):
        return state

    def started(facts: HostFacts) -> HostFacts:
        return replace(facts, agent_unit=UnitFacts(active="active"))

    seen = predictions.with_facts(state, step.server_id, started)
    return predictions.map_kube(seen, lambda kube: predictions.with_ready_node(kube, step.target))
