"""Carries out the steps that give a server another type: off, changed, on again, and seen to be well."""

from __future__ import annotations

from hetzner_k3s.act import k3s
from hetzner_k3s.act.balancing import off_the_balancer
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.waiting import until
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import DeadlineExceeded, HostError
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.steps import ResizeMaster, ResizeWorker

_OFF_WITHIN = 90.0
_BOOTED_WITHIN = 180.0
_LOOK_EVERY = 2.0
"""Seconds between two looks at a server's status: Hetzner counts requests."""
_POLL = 1.0


async def resize_master(step: ResizeMaster, context: Context) -> Outcome:
    """Give a master another type, and see its k3s stay up as a voter."""
    await off_the_balancer(context, step.target, step.server_id)
    return await _resized(step, context, K3sRole.SERVER)


async def resize_worker(step: ResizeWorker, context: Context) -> Outcome:
    """Give a worker another type, and see its Node Ready."""
    return await _resized(step, context, K3sRole.AGENT)


async def _resized(step: ResizeMaster | ResizeWorker, context: Context, role: K3sRole) -> Outcome:
    server, via = context.server(step.server_id), context.target(step.via)
    before = await k3s.before_start(context, server, via)
    context.say(step.target, "shutting it down")
    now = await _off(context, server)
    try:
        if now.server_type != step.server_type:
            context.say(step.target, f"changing its type from {now.server_type} to {step.server_type}")
            await context.ports.cloud.change_type(server.id, step.server_type)
    finally:  # also where Hetzner does not sell that type now: it goes on as it was
        context.say(step.target, "powering it on")
        await context.ports.cloud.power_on(server.id)
    await _booted(step, context)
    await k3s.well_again(context, context.target_of(server), role, via, before)
    context.say(step.target, "is back")
    return Outcome()


async def _off(context: Context, server: Server) -> Server:
    """Shut a server down, and cut its power where it does not obey; return it as it is then."""
    now = await context.ports.cloud.find_server(server.name)
    if now is not None and now.status is ServerStatus.OFF:
        return now
    await context.ports.cloud.shut_down(server.id)
    try:
        return await _seen_off(context, server)
    except DeadlineExceeded:
        context.say(server.name, f"does not shut down within {_OFF_WITHIN:.0f} s; cutting its power")
        await context.ports.cloud.power_off(server.id)
        return await _seen_off(context, server)


async def _seen_off(context: Context, server: Server) -> Server:
    async def look() -> Server | None:
        now = await context.ports.cloud.find_server(server.name)
        return now if now is not None and now.id == server.id and now.status is ServerStatus.OFF else None

    what = f"{server.name} is not off"
    return await until(context.ports.clock, look, what=what, within=_OFF_WITHIN, every=_LOOK_EVERY)


async def _booted(step: ResizeMaster | ResizeWorker, context: Context) -> None:
    target = context.target(step.server_id)

    async def look() -> HostFacts | None:
        try:
            return await context.ports.hosts.perform(target, Probe())
        except HostError:
            return None

    what = f"{step.target} does not answer by SSH after its type was changed"
    await until(context.ports.clock, look, what=what, within=_BOOTED_WITHIN, every=_POLL)
