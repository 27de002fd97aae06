"""Carries out the steps about Kubernetes Nodes."""

from __future__ import annotations

import asyncio

from hetzner_k3s.act import k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers import node_labels
from hetzner_k3s.act.handlers.drain import still_empty
from hetzner_k3s.act.handlers.tokens import cluster_tokens
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import BeforeStart
from hetzner_k3s.model.operations.configuration import PointToServer, ReconnectAgent
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone, StopK3s
from hetzner_k3s.model.steps import DeleteNode, JoinWorker, PointWorker, ReconnectWorker, StartWorker

_READY_WITHIN = 300.0
_LONGER = 60.0
"""Seconds that the host is watched longer: it is the Node that did not come in time, and its error that is told."""


async def delete_node(step: DeleteNode, context: Context) -> Outcome:
    """Delete the Node of a server that is gone, then its node-password secret.

    The Node goes first because a `providerID` cannot change; the secret normally goes with it
    (docs/facts/k3s.md#node-password), but where it stays a new agent of that name is refused for ever.
    """
    via = context.target(step.via)
    if step.emptied:
        await still_empty(context, via, step.target, volumes_may_go=step.volumes_may_go)
    context.say(step.target, "deleting its Node")
    if step.uid is not None:
        await context.ports.kube.delete_node(via, step.target, step.uid, release=step.release)
    await context.ports.kube.delete_node_password(via, step.target)
    return Outcome()


def _runs_without_a_node(step: JoinWorker, context: Context) -> bool:
    """Check whether an agent runs that has no Node: it was deleted, or the agent has never got that far.

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
    await k3s.configure(context, server, await cluster_tokens(context, step.via), step.server_url)
    context.say(step.target, f"joining through {via.name}")
    before = await k3s.before_start(context, server, via)
    if _runs_without_a_node(step, context):
        await context.ports.hosts.perform(target, StopK3s(role=K3sRole.AGENT, fence=context.fence))
    await k3s.start(context, target, K3sRole.AGENT)
    await _node_ready(context, target, via, before)
    await node_labels.record(context, via, server)
    context.say(step.target, "is Ready")
    return Outcome()


async def start_worker(step: StartWorker, context: Context) -> Outcome:
    """Start the stopped agent of a worker with the configuration that it has, and see its Node Ready again."""
    server = context.server(step.server_id)
    target, via = context.target_of(server), context.target(step.via)
    context.say(step.target, "starting its k3s-agent")
    before = await k3s.before_start(context, server, via)
    await k3s.start(context, target, K3sRole.AGENT)
    await _node_ready(context, target, via, before)
    context.say(step.target, "is Ready")
    return Outcome()


async def point_worker(step: PointWorker, context: Context) -> Outcome:
    """Name another master in a worker's configuration; its agent reads that at its next start only."""
    context.say(step.target, "correcting its configuration")
    point = PointToServer(url=step.server_url, fence=context.fence)
    await context.ports.hosts.perform(context.target(step.server_id), point)
    return Outcome()


async def reconnect_worker(step: ReconnectWorker, context: Context) -> Outcome:
    """Write a living master into a worker's configuration, start its agent anew, and see its Node Ready again."""
    server = context.server(step.server_id)
    target, via = context.target_of(server), context.target(step.via)
    context.say(step.target, "its masters are gone; pointing it to a living one")
    before = await k3s.before_start(context, server, via)
    reconnect = ReconnectAgent(url=step.server_url, known=step.known, fence=context.fence)
    await context.ports.hosts.perform(target, reconnect)
    await _node_ready(context, target, via, before)
    return Outcome()


async def _node_ready(context: Context, target: HostTarget, via: HostTarget, before: BeforeStart) -> None:
    """See a worker's Node Ready by a heartbeat of this start; what ends its agent on the host ends the wait.

    Whether its unit is active tells nothing: an agent stays `activating` until a cloud controller has seen its Node
    (docs/facts/k3s.md#joined), and none comes while the node has not joined.
    """
    watch = asyncio.create_task(k3s.reach(context, target, K3sRole.AGENT, Milestone.ACTIVE, _READY_WITHIN + _LONGER))
    ready = asyncio.create_task(context.ports.kube.wait_node_ready(via, target.name, _READY_WITHIN, before))
    try:
        await asyncio.wait({watch, ready}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            watch.result()
        await ready
    finally:
        watch.cancel()
        ready.cancel()
        await asyncio.gather(watch, ready, return_exceptions=True)
