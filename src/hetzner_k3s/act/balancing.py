"""Waiting until the API load balancer sends nobody to a master whose apiserver is about to go."""

from __future__ import annotations

from hetzner_k3s.act.context import Context
from hetzner_k3s.act.waiting import until
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.hetzner.load_balancing import heeds_membership

_OFF_WITHIN = 60.0
_LOOK_EVERY = 2.0
"""Seconds between two looks at a load balancer: Hetzner counts requests."""


async def off_the_balancer(context: Context, name: str, server_id: int) -> None:
    """Wait until nobody is sent to a server whose label is gone: the balancer looks for its targets seconds later.

    Raises:
        DeadlineExceeded: it still sends there.
    """
    balancer = lookup.load_balancer(context.spec, context.state.view)
    if balancer is None:
        return
    if not heeds_membership(balancer, naming.members_selector(context.spec.name)):
        context.say(name, f"{balancer.name} sends there until its health check fails: its target is all masters")
        return

    async def look() -> bool | None:
        return server_id not in await context.ports.cloud.balanced(balancer.id) or None

    what = f"the load balancer {balancer.name} still sends to {name}"
    await until(context.ports.clock, look, what=what, within=_OFF_WITHIN, every=_LOOK_EVERY)
