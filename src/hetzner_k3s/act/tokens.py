"""The cluster's token, read off a master that proves whose it is before the token is handed to anybody."""

from __future__ import annotations

from hetzner_k3s.act import birth_record, k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import full_token, token_ca, token_hash, token_password
from hetzner_k3s.model.operations import K3sRole, Milestone, Probe, ReadSecret, SecretKind, SetToken, WriteCaPin
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.steps import PinCa, RenewToken

_REVIVED_WITHIN = 300.0
"""Seconds given to a master that was kept from starting; its peers wait for nothing."""


async def renew_token(step: RenewToken, context: Context) -> Outcome:
    """Write the current token on a master whose `config.yaml` holds another, or no full one."""
    token = await cluster_token(context, step.via, step.kind)
    target = context.target(step.server_id)
    context.say(step.target, "writing the cluster's current token into its config.yaml")
    await context.ports.hosts.perform(target, SetToken(token=token, revive=step.revive, fence=context.fence))
    if step.revive:
        await k3s.reach(context, target, K3sRole.SERVER, Milestone.ACTIVE, _REVIVED_WITHIN)
    return Outcome()


async def pin_ca(step: PinCa, context: Context) -> Outcome:
    """Let a worker's token pin the CA that its cluster has now; no secret travels for that."""
    context.say(step.target, f"writing the CA {step.ca[:8]} into the token of its configuration")
    pin = WriteCaPin(before=step.before, ca=step.ca, restart=step.restart, fence=context.fence)
    await context.ports.hosts.perform(context.target(step.server_id), pin)
    return Outcome()


async def cluster_token(context: Context, via: int, kind: SecretKind = SecretKind.TOKEN) -> Secret:
    """Read the full K10 token of the master `via` (a server id) over verified SSH.

    The full token pins the CA; a bare password would be taken on trust (RECOVERY_FACTS.md 0.4). One that lies bare in
    `config.yaml` is completed with the CA that its master serves.

    Raises:
        WrongCluster: it is not the token that the datastore knows (K3S_RUN_FACTS.md, "Token rotation"), or CA or
            kube-system UID are not those of the birth record.
        OperationFailed: its kube-system UID could not be read.
    """
    target = context.target(via)
    token = await context.ports.hosts.perform(target, ReadSecret(kind=kind))
    facts = await context.ports.hosts.perform(target, Probe())
    if kind is SecretKind.CONFIG_TOKEN and facts.disk.server_ca is not None:
        token = Secret(full_token(facts.disk.server_ca, token_password(token.reveal())))
    _prove(context, target.name, token, facts)
    return token


def _prove(context: Context, master: str, token: Secret, facts: HostFacts) -> None:
    record = birth_record.recorded(context)
    ca = token_ca(token.reveal())
    if ca is None or (record.ca and not ca.startswith(record.ca)):
        raise _stranger(master, "its CA is not the one of the birth record")
    if record.uid and (uid := k3s.uid_of(facts, master)) != record.uid:
        raise _stranger(master, f"its kube-system UID is {uid}, not {record.uid} as recorded")
    if token_hash(token.reveal()) not in facts.bootstrap_keys:
        raise _stranger(master, "its token is not the one that its datastore knows (was it rotated?)")


def _stranger(master: str, why: str) -> WrongCluster:
    return WrongCluster(
        f"{master}: {why}", hint="Nothing was handed out. Look at the masters with `hetzner-k3s status`."
    )
