"""Carries out the steps that let go what is beyond the file."""

from __future__ import annotations

from hetzner_k3s.act import witnesses
from hetzner_k3s.act.balancing import off_the_balancer
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers.drain import drained
from hetzner_k3s.act.labels import take_off
from hetzner_k3s.model import naming
from hetzner_k3s.model.errors import HostUnreachable
from hetzner_k3s.model.kube import Leaving
from hetzner_k3s.model.operations import members
from hetzner_k3s.model.operations.members import MoveLeader
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import StopK3s
from hetzner_k3s.model.steps import CordonNode, DrainNode, RetireMember, UncordonNode, UnmarkMember, UnmarkSurge


async def unmark_member(step: UnmarkMember, context: Context) -> Outcome:
    """Take the API load balancer's label off a server, before its apiserver goes."""
    context.say(step.target, "taking it off the API load balancer's targets")
    return Outcome(labels=(await take_off(context, step.server_id, (naming.LABEL_STATE,)),))


async def unmark_surge(step: UnmarkSurge, context: Context) -> Outcome:
    """Take the label off a server by which it would go after a rollout."""
    return Outcome(labels=(await take_off(context, step.server_id, (naming.LABEL_SURGE,)),))


async def retire_member(step: RetireMember, context: Context) -> Outcome:
    """Remove a living member, see it gone on every other master, and stop its k3s, which would else join again.

    Only the leader itself can hand leadership over, so its own host is asked, whether it leads or not.
    """
    via, leaver = context.target(step.via), context.target(step.server_id)
    await off_the_balancer(context, step.target, step.server_id)
    await context.ports.hosts.perform(leaver, MoveLeader(heir=step.heir, fence=context.fence))
    context.say(step.target, f"removing its etcd member on {via.name}")
    removal = members.RetireMember(member_id=step.member_id, precondition=step.precondition, fence=context.fence)
    await context.ports.hosts.perform(via, removal)
    try:
        await context.ports.hosts.perform(leaver, StopK3s(role=K3sRole.SERVER, fence=context.fence))
    except HostUnreachable:
        context.say(step.target, "does not answer any more; its server goes next")
    await _gone_everywhere(step, context)
    return Outcome()


async def _gone_everywhere(step: RetireMember, context: Context) -> None:
    def is_gone(members: witnesses.Members) -> bool:
        return step.member_id not in {m.id for m in members}

    others = witnesses.others(context, step.server_id)
    await witnesses.agree(context, others, is_gone, f"{step.target} is still")


async def cordon_node(step: CordonNode, context: Context) -> Outcome:
    """Let nothing new be scheduled on a Node."""
    context.say(step.target, "cordoning its Node")
    await context.ports.kube.mark_leaving(context.target(step.via), step.target, Leaving.CORDONED)
    return Outcome()


async def drain_node(step: DrainNode, context: Context) -> Outcome:
    """Evict what runs on a Node, then note on it that nothing is left."""
    context.say(step.target, "evicting its pods")
    via = context.target(step.via)
    may_go = step.volumes_may_go
    await drained(context, via, step.target, answers=step.answers, within=step.within, volumes_may_go=may_go)
    await context.ports.kube.mark_leaving(via, step.target, Leaving.DRAINED)
    return Outcome()


async def uncordon_node(step: UncordonNode, context: Context) -> Outcome:
    """Take back what an unfinished `Prune` began on a Node that the file wants again."""
    context.say(step.target, "uncordoning its Node")
    await context.ports.kube.mark_leaving(context.target(step.via), step.target, None)
    return Outcome()
