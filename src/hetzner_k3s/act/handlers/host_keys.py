"""Carries out `SecureHost`: the boot host key is replaced before anything secret is sent.

See docs/architecture.md#host-keys.

The boot key's private half is in user data, which any pod can read from the metadata service. The final key is
normally announced in the labels by the call that made the server. When the run that holds its private half was
killed, another one is announced first: label `host-key-next`, install, verify, promote the label; whatever kill comes
between two of these, the key that answers tells where to go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hetzner_k3s.act.context import Context, LabelChange, Outcome
from hetzner_k3s.act.waiting import until
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import HostUnreachable, SshStage
from hetzner_k3s.model.hetzner.access import silence_explained
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.operations.configuration import RotateHostKey
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.steps import SecureHost
from hetzner_k3s.ports import HostKeyPair

_BOOT_WITHIN = 180.0
_SETTLE_WITHIN = 30.0
"""How long a wrong host key is put down to an sshd that cloud-init has not configured yet; nothing is sent to it."""
_POLL = 0.5


async def secure_host(step: SecureHost, context: Context) -> Outcome:
    """Bring a host to its final key, from wherever an earlier run left it."""
    server = context.server(step.server_id)
    context.say(step.target, "waiting for its SSH")
    settled = await _settle(context, server, await _first_contact(context, server))
    keys = {label: settled.labels.get(label) for label in (naming.LABEL_HOST_KEY, naming.LABEL_HOST_KEY_NEXT)}
    return Outcome(labels=(LabelChange("server", server.id, keys),))


async def _settle(context: Context, server: Server, facts: HostFacts) -> Server:
    match facts.key:
        case HostKeyKind.FINAL:
            return await _drop_next(context, server)
        case HostKeyKind.NEXT:
            return await _promote(context, server)
        case HostKeyKind.BOOT:
            context.say(server.name, "replacing its boot host key")
            return await _replace_boot_key(context, server)


async def _first_contact(context: Context, server: Server) -> HostFacts:
    started = context.ports.clock.monotonic()

    async def look() -> HostFacts | None:
        try:
            return await context.ports.hosts.perform(context.target_of(server), Probe())
        except HostUnreachable as failure:
            settling = context.ports.clock.monotonic() - started < _SETTLE_WITHIN
            if failure.stage is SshStage.HOST_KEY and not settling:
                raise
            return None

    what = f"{server.name} does not answer by SSH on port {context.spec.ssh.port}"
    if explained := silence_explained(context.spec, context.state.view, context.state.local.public_address):
        what += f"; {explained}"
    return await until(context.ports.clock, look, what=what, within=_BOOT_WITHIN, every=_POLL)


async def _replace_boot_key(context: Context, server: Server) -> Server:
    final = context.key_ring.final.get(server.name)
    if final is not None and final.label == server.labels.get(naming.LABEL_HOST_KEY):
        await _install(context, server, final, HostKeyKind.FINAL)
        return server
    # Also when a `host-key-next` is there: its private half died with the run that announced it.
    pair = context.ports.host_keys.generate()
    announced = await _relabel(context, server, {naming.LABEL_HOST_KEY_NEXT: pair.label})
    await _install(context, announced, pair, HostKeyKind.NEXT)
    return await _promote(context, announced)


async def _install(context: Context, server: Server, pair: HostKeyPair, kind: HostKeyKind) -> None:
    target = context.target_of(server)
    rotate = RotateHostKey(private_key=pair.private_key, public_key=pair.public_key, fence=context.fence)
    await context.ports.hosts.perform(target, rotate)
    only_new = replace(target, keys={pair.label: kind})

    async def look() -> HostFacts | None:
        try:
            facts = await context.ports.hosts.perform(only_new, Probe())
        except HostUnreachable:
            return None
        return facts if facts.key is kind else None

    what = f"{server.name} does not answer with its new host key"
    await until(context.ports.clock, look, what=what, within=_SETTLE_WITHIN, every=_POLL)


async def _promote(context: Context, server: Server) -> Server:
    new = server.labels[naming.LABEL_HOST_KEY_NEXT]
    return await _relabel(context, server, {naming.LABEL_HOST_KEY: new, naming.LABEL_HOST_KEY_NEXT: None})


async def _drop_next(context: Context, server: Server) -> Server:
    if naming.LABEL_HOST_KEY_NEXT not in server.labels:
        return server
    return await _relabel(context, server, {naming.LABEL_HOST_KEY_NEXT: None})


async def _relabel(context: Context, server: Server, changes: Mapping[str, str | None]) -> Server:
    await context.ports.cloud.merge_labels("server", server.id, changes)
    merged = {**server.labels, **changes}
    return replace(server, labels={key: value for key, value in merged.items() if value is not None})
