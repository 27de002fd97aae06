"""Carries out the steps of a rollout: a host that runs is brought to what the file says, and seen to be well again."""

from __future__ import annotations

from hetzner_k3s.act import k3s
from hetzner_k3s.act.balancing import off_the_balancer
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers.tokens import cluster_tokens
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone
from hetzner_k3s.model.steps import ReconfigureMaster, ReconfigureWorker

_STEADY_WITHIN = 300.0
_READY_WITHIN = 120.0
"""Seconds that a Node is given after its k3s has stayed up: it reports every ten."""


async def reconfigure_master(step: ReconfigureMaster, context: Context) -> Outcome:
    """Start a master's k3s anew, and see it stay up: its etcd healthy, its API ready, its Node Ready.

    A bad argument ends k3s only after it told that it is ready (docs/facts/k3s.md#restart-for-a-change).
    """
    server = context.server(step.server_id)
    via = context.target(step.via)
    await off_the_balancer(context, step.target, step.server_id)
    tokens = await cluster_tokens(context, step.via)
    before = await k3s.before_start(context, server, via)
    context.say(step.target, "starting its k3s anew with the configuration of the file")
    await k3s.reconfigure(context, server, tokens, step.server_url, step.members)
    await k3s.reach(context, context.target_of(server), K3sRole.SERVER, Milestone.STEADY, _STEADY_WITHIN)
    await context.ports.kube.wait_node_ready(via, step.target, _READY_WITHIN, before)
    context.say(step.target, "is back")
    return Outcome()


async def reconfigure_worker(step: ReconfigureWorker, context: Context) -> Outcome:
    """Start a worker's agent anew, and see it stay up and its Node Ready; its pods go on."""
    server = context.server(step.server_id)
    via = context.target(step.via)
    tokens = await cluster_tokens(context, step.via)
    before = await k3s.before_start(context, server, via)
    context.say(step.target, "starting its agent anew with the configuration of the file")
    await k3s.reconfigure(context, server, tokens, step.server_url)
    await k3s.reach(context, context.target_of(server), K3sRole.AGENT, Milestone.STEADY, _STEADY_WITHIN)
    await context.ports.kube.wait_node_ready(via, step.target, _READY_WITHIN, before)
    context.say(step.target, "is Ready")
    return Outcome()
