"""Carries out the steps of a rollout: a host that runs is brought to what the file says, and seen to be well again."""

from __future__ import annotations

from hetzner_k3s.act import k3s
from hetzner_k3s.act.balancing import off_the_balancer
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers.tokens import cluster_tokens
from hetzner_k3s.model.errors import Fate, KubeError
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import BeforeStart
from hetzner_k3s.model.operations import configuration
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.steps import ReconfigureMaster, ReconfigureWorker, StageK3s


async def stage_k3s(step: StageK3s, context: Context) -> Outcome:
    """Fetch a release onto a host and verify it there, beside the one that runs."""
    context.say(step.target, f"fetching k3s {step.version}")
    stage = configuration.StageK3s(version=step.version, fence=context.fence)
    await context.ports.hosts.perform(context.target(step.server_id), stage)
    return Outcome()


async def reconfigure_master(step: ReconfigureMaster, context: Context) -> Outcome:
    """Start a master's k3s anew, and see it stay up: its etcd healthy, its API ready, its Node Ready.

    A bad argument ends k3s only after it told that it is ready (docs/facts/k3s.md#restart-for-a-change).
    """
    server, via = context.server(step.server_id), context.target(step.via)
    await off_the_balancer(context, step.target, step.server_id)
    tokens = await cluster_tokens(context, step.via)
    before = await k3s.before_start(context, server, via)
    context.say(step.target, f"starting its k3s anew with {_what(step.version)}")
    await k3s.reconfigure(context, server, tokens, step.server_url, version=step.version, members=step.members)
    await _back(step, context, K3sRole.SERVER, via, before)
    context.say(step.target, "is back")
    return Outcome()


async def reconfigure_worker(step: ReconfigureWorker, context: Context) -> Outcome:
    """Start a worker's agent anew, and see it stay up and its Node Ready; its pods go on."""
    server, via = context.server(step.server_id), context.target(step.via)
    tokens = await cluster_tokens(context, step.via)
    before = await k3s.before_start(context, server, via)
    context.say(step.target, f"starting its agent anew with {_what(step.version)}")
    await k3s.reconfigure(context, server, tokens, step.server_url, version=step.version)
    await _back(step, context, K3sRole.AGENT, via, before)
    context.say(step.target, "is Ready")
    return Outcome()


def _what(version: str | None) -> str:
    return "the configuration of the file" if version is None else f"k3s {version}"


async def _back(
    step: ReconfigureMaster | ReconfigureWorker, context: Context, role: K3sRole, via: HostTarget, before: BeforeStart
) -> None:
    """See k3s stay up, its Node Ready by a heartbeat of this start, and of the release that was put in place."""
    target = context.target(step.server_id)
    await k3s.well_again(context, target, role, via, before)
    if step.version is None:
        return
    node = (await context.ports.kube.view(via)).node(step.target)
    if node is None or node.version != step.version:
        told = node.version if node is not None else "nothing"
        why = f"{step.target} was started with k3s {step.version}, and its Node says {told}"
        raise KubeError(why, server=via.name, fate=Fate.MAY_HAVE_HAPPENED)
    await context.ports.hosts.perform(target, configuration.TidyK3s(fence=context.fence))
