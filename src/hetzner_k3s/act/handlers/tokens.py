"""The cluster's tokens, read off a master that proves whose they are before they are handed to anybody."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.act import birth_record, k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.identity import full_token, token_ca, token_hash, token_password
from hetzner_k3s.model.operations.configuration import SetToken, WriteCaPin
from hetzner_k3s.model.operations.looks import Probe, ReadSecret, SecretKind
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.steps import PinCa, RenewToken, RestoreSnapshot, StartOnDatabase
from hetzner_k3s.model.tokens import ClusterTokens, paired

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


async def cluster_tokens(context: Context, via: int) -> ClusterTokens:
    """Read both tokens off the healthy master `via`; errors as for `cluster_token`."""
    server = await cluster_token(context, via)
    agent = await context.ports.hosts.perform(context.target(via), ReadSecret(kind=SecretKind.AGENT_TOKEN))
    if token_ca(agent.reveal()) != token_ca(server.reveal()):
        raise _stranger(context.target(via).name, "its agent token pins another CA than its server token")
    return paired(server, agent)


async def found_tokens(context: Context, step: RestoreSnapshot | StartOnDatabase) -> ClusterTokens:
    """Get the tokens that a step found where no master is left: on servers, or on this machine.

    Raises:
        WrongCluster: one is not where it was seen.
    """
    local = context.ports.local
    server = await _found(context, step.token_hash or "", step.token_from, local.token)
    if step.agent_hash is None:
        return ClusterTokens(server)
    return ClusterTokens(server, await _found(context, step.agent_hash, step.agent_from, local.agent_token))


async def _found(context: Context, wanted: str, holder: int | None, here: Callable[[str], Secret | None]) -> Secret:
    found = here(wanted) if holder is None else await _configured(context, holder, wanted)
    if found is None or token_hash(found.reveal()) != wanted:
        raise WrongCluster(f"the token of hash {wanted} is not where it was seen", hint="Run it again.")
    return found


async def _configured(context: Context, holder: int, wanted: str) -> Secret:
    facts = context.state.facts(holder)
    as_agents = facts is not None and facts.disk.config_agent_hash == wanted
    kind = SecretKind.CONFIG_AGENT_TOKEN if as_agents else SecretKind.CONFIG_TOKEN
    return await context.ports.hosts.perform(context.target(holder), ReadSecret(kind=kind))


async def cluster_token(context: Context, via: int, kind: SecretKind = SecretKind.TOKEN) -> Secret:
    """Read the full K10 token of the master `via` (a server id) over verified SSH.

    The full token pins the CA; a bare password would be taken on trust (docs/facts/k3s.md#token-pins-the-ca). One that
    lies bare in `config.yaml` is completed with the CA that its master serves.

    Raises:
        WrongCluster: it is not the token that the datastore knows (docs/facts/k3s.md#token-rotation), or CA or
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
