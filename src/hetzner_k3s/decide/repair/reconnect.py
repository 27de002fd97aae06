"""Workers that know no living master any more: after a restore, or when all masters got other addresses.

An agent finds the masters by the `server:` it was started with and by those it learned of since
(docs/facts/k3s.md#agent-load-balancer). When all of these are gone it has no way back by itself; its pods go on.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.prune.load_balancer import addresses_that_go
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.master_addresses import host_of, internal_addresses, is_an_address, living_masters
from hetzner_k3s.model.host import HostFacts, UnitFacts
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import API_PORT, ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import PointWorker, ReconnectWorker, Step


def reconnect_workers(context: ServingContext) -> Proposal | None:
    """Point the first such worker to a living master; one by one, since each restarts its agent."""
    if any(key.kind is ReconnectWorker for key in context.in_flight):
        return None
    for spec in context.spec.workers():
        server = context.server(spec.name)
        facts = context.state.facts(server.id) if server is not None else None
        if server is not None and facts is not None and is_lost(context, facts):
            url = f"https://{internal_addresses(context, context.control_plane.masters)[0]}:{API_PORT}"
            known = facts.disk.agent_servers
            step = ReconnectWorker(
                target=spec.name,
                server_id=server.id,
                via=context.gateway.server.id,
                server_url=url,
                known=known,
            )
            return Proposal((_planned(step),))
    return None


def _planned(step: ReconnectWorker) -> PlannedStep:
    return PlannedStep(
        step=step,
        scope=Scope.WORKER,
        reason=Reason.LOST,
        because="every master that its agent knows is gone; its pods go on while it is started anew",
    )


def is_lost(context: ServingContext, facts: HostFacts) -> bool:
    """Check whether an agent knows masters, and none of them lives; asked only when all masters of the file vote.

    Before that, a successor may yet get the address that the agent knows.
    """
    if context.control_plane.kube is None:
        return False
    if not facts.agent_unit.runs or facts.disk.config_server is None or not _of_this_cluster(context, facts):
        return False
    if not _all_masters_serve(context):
        return False
    return not knows_a_living_master(context, facts)


def knows_a_living_master(context: ServingContext, facts: HostFacts) -> bool:
    """Check whether an agent finds the cluster by itself, through what it is started with or what it has learned."""
    known = {host_of(entry) for entry in (facts.disk.config_server or "", *facts.disk.agent_servers)}
    return bool(known & living_masters(context))


def _all_masters_serve(context: DecisionContext) -> bool:
    """Check whether every master of the file does: before that, a successor may yet get the address of a lost one."""
    return all(master.serves for master in context.control_plane.masters)


def correct_server_lines(context: ServingContext) -> Proposal | None:
    """Name a living master in the configuration of workers that name one that is gone, without a restart.

    Their agents go on with what they have learned; only one that forgets it would not find its way.
    """
    if not _all_masters_serve(context):
        return None
    steps = (_corrected(context, spec.name) for spec in context.spec.workers())
    return Proposal(tuple(step for step in steps if step is not None))


def _corrected(context: ServingContext, name: str) -> PlannedStep | None:
    server = context.server(name)
    facts = context.state.facts(server.id) if server is not None else None
    named = facts.disk.config_server if facts is not None else None
    if server is None or facts is None or named is None or not is_an_address(named) or name in context.joining:
        return None
    joined = facts.agent_unit.runs and _of_this_cluster(context, facts) and not is_lost(context, facts)
    going = host_of(named) in addresses_that_go(context)
    if not joined or host_of(named) in living_masters(context) - addresses_that_go(context):
        return None
    url = f"https://{internal_addresses(context, context.control_plane.masters)[0]}:{API_PORT}"
    return PlannedStep(
        step=PointWorker(target=name, server_id=server.id, server_url=url),
        scope=Scope.WORKER,
        reason=Reason.DIFFERS,
        because=f"its configuration names {host_of(named)}, where no master {'will be' if going else 'is'} any more",
    )


def _of_this_cluster(context: ServingContext, facts: HostFacts) -> bool:
    return facts.disk.trusts(context.gateway.facts.disk)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a worker was pointed to a living master."""
    match step:
        case ReconnectWorker():
            return _reconnected(state, step.server_id, step.server_url)
        case PointWorker():
            return predictions.with_facts(state, step.server_id, lambda facts: _naming(facts, step.server_url))
        case _:
            return state


def _naming(facts: HostFacts, url: str) -> HostFacts:
    return replace(facts, disk=replace(facts.disk, config_server=url))


def _reconnected(state: ClusterState, server_id: int, server_url: str) -> ClusterState:
    """Point an agent to a living master."""

    def change(facts: HostFacts) -> HostFacts:
        address = server_url.removeprefix("https://")
        disk = replace(facts.disk, config_server=server_url, agent_servers=(address,))
        return replace(facts, disk=disk, agent_unit=UnitFacts(active="active"))

    name = next(s.name for s in state.view.servers if s.id == server_id)

    def heard(kube: KubeView) -> KubeView:
        node = kube.node(name)
        return kube if node is None else predictions.with_node(kube, replace(node, ready=True))

    return predictions.map_kube(predictions.with_facts(state, server_id, change), heard)
