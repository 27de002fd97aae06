"""Carries out the steps about Kubernetes Nodes."""

from __future__ import annotations

from hetzner_k3s.act import k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.tokens import cluster_token
from hetzner_k3s.model import naming
from hetzner_k3s.model.operations import K3sRole, Milestone, StopK3s
from hetzner_k3s.model.steps import DeleteNode, JoinWorker

_AGENT_WITHIN = 300.0
_READY_WITHIN = 300.0


async def delete_node(step: DeleteNode, context: Context) -> Outcome:
    """Delete the Node of a server that is gone, then its node-password secret.

    The Node goes first because a `providerID` cannot change; the secret normally goes with it (K3S_RUN_FACTS.md), but
    where it stays a new agent of that name is refused for ever.
    """
    via = context.target(step.via)
    context.say(step.target, "deleting its Node")
    if step.uid is not None and step.release:
        await context.ports.kube.release_node(via, step.target, step.uid)
    if step.uid is not None:
        await context.ports.kube.delete_node(via, step.target, step.uid)
    await context.ports.kube.delete_node_password(via, step.target)
    return Outcome()


def _runs_without_a_node(step: JoinWorker, context: Context) -> bool:
    """Tell whether an agent runs that has no Node: it was deleted, or the agent has never got that far.

    It registers one only when it starts, and waits with the token and for the server that it was started with, whatever
    its `config.yaml` says by now.
    """
    facts, kube = context.state.facts(step.server_id), context.state.kube_of(step.via)
    runs = facts is not None and facts.agent_unit.runs
    return runs and kube is not None and kube.node(step.target) is None


async def join_worker(step: JoinWorker, context: Context) -> Outcome:
    """Have a worker join, and see its Node Ready."""
    server = context.server(step.server_id)
    target, via = context.target_of(server), context.target(step.via)
    await k3s.configure(context, server, await cluster_token(context, step.via), step.server_url)
    context.say(step.target, f"joining through {via.name}")
    if _runs_without_a_node(step, context):
        await context.ports.hosts.perform(target, StopK3s(role=K3sRole.AGENT, fence=context.fence))
    await k3s.start(context, target, K3sRole.AGENT)
    await k3s.reach(context, target, K3sRole.AGENT, Milestone.ACTIVE, _AGENT_WITHIN)
    await context.ports.kube.wait_node_ready(via, step.target, _READY_WITHIN)
    await context.ports.kube.annotate_node(via, step.target, {naming.ANNOTATION_SERVER_ID: str(server.id)})
    context.say(step.target, "is Ready")
    return Outcome()
