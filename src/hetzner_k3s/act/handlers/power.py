"""Carries out `PowerOn` and `StartMaster`."""

from __future__ import annotations

from hetzner_k3s.act import k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.waiting import until
from hetzner_k3s.model.errors import DeadlineExceeded, HostError, KubeError
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import BeforeStart
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone
from hetzner_k3s.model.steps import PowerOn, StartMaster

_BACK_WITHIN = 300.0
_STARTED_WITHIN = 60.0
_POLL = 1.0


async def power_on(step: PowerOn, context: Context) -> Outcome:
    """Power a server on, and give what it ran before five minutes to come back; what then is, the next look tells."""
    context.say(step.target, "powering it on")
    before = await _before_start(step, context) if step.joined else None
    await context.ports.cloud.power_on(step.server_id)
    if step.joined:
        await _back(step, context, before)
    return Outcome()


async def start_master(step: StartMaster, context: Context) -> Outcome:
    """Start a stopped k3s, and give it a minute to become active: one that has a quorum needs no longer."""
    context.say(step.target, "starting its k3s")
    target = context.target(step.server_id)
    await k3s.start(context, target, K3sRole.SERVER)
    try:
        await k3s.reach(context, target, K3sRole.SERVER, Milestone.ACTIVE, _STARTED_WITHIN)
    except HostError as failure:  # without a quorum it waits for ever; the next look tells what is to be done then
        context.say(step.target, f"did not become active: {failure}")
    return Outcome()


async def _before_start(step: PowerOn, context: Context) -> BeforeStart | None:
    """Read the last heartbeat of its Node, which shows as Ready for 40 s without power; None where nobody tells."""
    if step.via is None:
        return None
    try:
        return BeforeStart(await context.ports.kube.last_heartbeat(context.target(step.via), step.target))
    except KubeError:
        return None


async def _back(step: PowerOn, context: Context, before: BeforeStart | None) -> None:
    target = context.target(step.server_id)
    via = target if step.via is None else context.target(step.via)
    ends = context.ports.clock.monotonic() + _BACK_WITHIN

    async def look() -> HostFacts | None:
        return await _came_back(context, target)

    try:
        facts = await until(context.ports.clock, look, what="", within=_BACK_WITHIN, every=_POLL)
        if _runs(facts):
            left = ends - context.ports.clock.monotonic()
            await context.ports.kube.wait_node_ready(via, step.target, max(left, _POLL), before)
            context.say(step.target, "is back")
    except (DeadlineExceeded, KubeError):
        context.say(step.target, f"has power, but did not come back within {_BACK_WITHIN:.0f} s")


async def _came_back(context: Context, target: HostTarget) -> HostFacts | None:
    try:
        facts = await context.ports.hosts.perform(target, Probe())
    except HostError:
        return None
    return facts if _runs(facts) or _stays_down(facts) else None


def _runs(facts: HostFacts) -> bool:
    return facts.agent_unit.runs or (facts.server_unit.active == "active" and facts.serves)


def _stays_down(facts: HostFacts) -> bool:
    """Check whether waiting is in vain: nothing on that host was told to start."""
    units = (facts.server_unit, facts.agent_unit)
    return facts.key is HostKeyKind.BOOT or not any(unit.runs for unit in units)
