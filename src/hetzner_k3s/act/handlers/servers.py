"""Carries out the steps that bring a server to the point where k3s can be started on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.waiting import until
from hetzner_k3s.hosts import cloud_init
from hetzner_k3s.hosts.k3s_config import render_registries
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server, ServerOrder
from hetzner_k3s.model.errors import CloudConflict, CloudRefused, CloudUnavailable, HostError, NameTaken, OrderRefused
from hetzner_k3s.model.hosts.contact import HostTarget, host_target
from hetzner_k3s.model.hosts.first_boot import digits
from hetzner_k3s.model.operations.configuration import Install
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.steps import CreateServer, InstallK3s
from hetzner_k3s.ports import HostKeyPair

_RUNNING_WITHIN = 300.0
_BOOT_WITHIN = 900.0
"""A first boot may install packages and run the file's own commands."""
_POLL = 1.0


async def create_server(step: CreateServer, context: Context) -> Outcome:
    """Ask for a server with both its host keys in its labels, or adopt the one that an earlier call made.

    The final key's private half stays in the key ring until `SecureHost` sends it; the boot key's goes into user data.
    """
    context.say(step.target, "asking for the server")
    boot, final = context.ports.host_keys.generate(), context.ports.host_keys.generate()
    async with _watching(context) as made:
        server = await _ask_or_adopt(_order(step, context, boot, final), context, made)
    if server.labels.get(naming.LABEL_HOST_KEY) == final.label:
        context.key_ring.final[step.target] = final
    context.say(step.target, "is up")
    return Outcome((server,))


def _order(step: CreateServer, context: Context, boot: HostKeyPair, final: HostKeyPair) -> ServerOrder:
    view, spec, wanted = context.state.view, context.spec, context.wanted(step.target)
    keys = {naming.LABEL_BOOT_KEY: boot.label, naming.LABEL_HOST_KEY: final.label}
    network, key = lookup.network_id(spec, view), lookup.ssh_key(spec, view)
    group = lookup.placement_group(step.placement_group, view) if step.placement_group else None
    if lookup.lacks_network(spec, view) or key is None:
        raise LookupError(f"{step.target} was planned before its network and its SSH key")
    return ServerOrder(
        name=step.target,
        server_type=step.server_type,
        image=step.image,
        location=step.location,
        labels={
            **naming.server_labels(spec.name, wanted.role, surge=wanted.surge),
            **keys,
            naming.LABEL_FIRST_BOOT: digits(wanted.boot),
        },
        ssh_key=key.id,
        network=network,
        placement_group=group.id if group else None,
        user_data=cloud_init.user_data(spec, wanted, boot),
        ipv4=spec.network.public_ipv4,
        ipv6=spec.network.public_ipv6,
        watched=spec.network.public_ipv4 and not spec.ssh.use_private_ip,
    )


@asynccontextmanager
async def _watching(context: Context) -> AsyncIterator[Callable[[Server], None]]:
    """Tell of a server as soon as it is ordered, and end the wait for it as soon as it answers by SSH."""
    watch: list[asyncio.Task[None]] = []

    def made(new: Server) -> None:
        # What is true at once: it is ours, and its disk is the image's.
        context.learn(Outcome((new,), ordered=frozenset({new.id})))
        if (target := host_target(context.spec, new, context.internal_ips())) is not None:
            watch.append(asyncio.create_task(_tell_once_it_answers(context, target)))

    try:
        yield made
    finally:
        for task in watch:
            task.cancel()
        await asyncio.gather(*watch, return_exceptions=True)


async def _tell_once_it_answers(context: Context, target: HostTarget) -> None:
    """Look at a new host until it holds an address in the cluster's network, which Hetzner plugs in meanwhile."""
    network = lookup.network(context.spec, context.state.view)
    while network is not None or not context.spec.network.private:
        with suppress(HostError):
            facts = await context.ports.hosts.perform(target, Probe())
            held = facts.addresses_in(network.ip_range) if network is not None else (None,)
            if len(held) == 1:
                context.ports.cloud.arrived(target.server_id, held[0])
                return
        await context.ports.clock.sleep(_POLL)


async def _ask_or_adopt(order: ServerOrder, context: Context, made: Callable[[Server], None]) -> Server:
    try:
        return await context.ports.cloud.create_server(order, made)
    except CloudConflict as taken:
        return await _adopt(order, context, taken)
    except CloudUnavailable as failure:
        if not failure.out_of_stock:
            raise
        raise _out_of_stock(order, failure) from failure
    except CloudRefused as refused:
        if refused.code not in _NO_SUCH_ORDER:
            raise
        raise _unknown_order(order, refused) from refused


_NO_SUCH_ORDER = frozenset({"invalid_input", "not_found", "unsupported_error"})


def _unknown_order(order: ServerOrder, refused: CloudRefused) -> OrderRefused:
    return OrderRefused(
        f"Hetzner does not take the order of {order.name} ({order.server_type}, {order.image}, {order.location}): "
        f"{refused}",
        code=refused.code,
        correlation_id=refused.correlation_id,
        fate=refused.fate,
        hint=f"Correct instance_type, image or location of {order.name} in the file, then run the command again.",
    )


def _out_of_stock(order: ServerOrder, failure: CloudUnavailable) -> CloudUnavailable:
    what = f"Hetzner has no {order.server_type} for {order.name} in {order.location} now"
    separate = " on a machine of its own" if failure.code == "placement_error" else ""
    return CloudUnavailable(
        f"{what}{separate} ({failure.code})",
        code=failure.code,
        correlation_id=failure.correlation_id,
        fate=failure.fate,
        hint="What there is stays as it is. Run the command again later, or with another type or location in the file.",
    )


async def _adopt(order: ServerOrder, context: Context, taken: CloudConflict) -> Server:
    """Take the server of that name if it is the cluster's own: an earlier run asked for it, with keys of its own."""
    found = await context.ports.cloud.find_server(order.name)
    if found is None:
        raise taken
    ours = {k: v for k, v in order.labels.items() if not k.startswith(naming.LABEL_PREFIX)}
    if not ours.items() <= found.labels.items():
        raise NameTaken(
            f"server {order.name} (id {found.id}) exists and does not carry the labels of this cluster",
            hint="Rename or delete that server, or rename the cluster.",
        )
    return await _running(order, context)


async def _running(order: ServerOrder, context: Context) -> Server:
    async def look() -> Server | None:
        server = await context.ports.cloud.find_server(order.name)
        return server if server and order.is_filled_by(server) else None

    where = "" if order.network is None else " with an address in the private network"
    what = f"{order.name} does not run{where}"
    return await until(context.ports.clock, look, what=what, within=_RUNNING_WITHIN, every=_POLL)


async def install_k3s(step: InstallK3s, context: Context) -> Outcome:
    """Put k3s, its unit and its start guard on the host; cloud-init has started the download long before.

    Then the first boot is waited for: the file's own commands run at its end, and k3s comes after them.
    """
    context.say(step.target, f"installing k3s {step.version}")
    target = context.target(step.server_id)
    registries = render_registries(context.spec).reveal()
    install = Install(role=step.role, version=step.version, registries=registries, fence=context.fence)
    await context.ports.hosts.perform(target, install)

    async def boot_ended() -> bool | None:
        return (await context.ports.hosts.perform(target, Probe())).boot_finished or None

    what = f"cloud-init on {step.target} does not end"
    await until(context.ports.clock, boot_ended, what=what, within=_BOOT_WITHIN, every=_POLL)
    return Outcome()
