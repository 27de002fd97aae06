"""Carries out `StartOnDatabase`: a master of a cluster whose data lies in an external database."""

from __future__ import annotations

from hetzner_k3s.act import birth_record, k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers.control_plane import unmark
from hetzner_k3s.act.handlers.tokens import cluster_tokens, found_tokens
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import token_ca
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone, StopK3s
from hetzner_k3s.model.steps import StartOnDatabase
from hetzner_k3s.model.tokens import ClusterTokens

_STARTED_WITHIN = 300.0


async def start_on_database(step: StartOnDatabase, context: Context) -> Outcome:
    """Start a master on the database, and stop it again where it finds another cluster there, or began one.

    Raises:
        WrongCluster: what the database holds has another CA or kube-system UID than the birth record.
    """
    server = context.server(step.server_id)
    target = context.target_of(server)
    await k3s.configure(context, server, await _tokens(step, context), server_url=None)
    changes = await unmark(context, step.target)
    context.say(step.target, "starting on the external database")
    await k3s.start(context, target, K3sRole.SERVER)
    found = await k3s.reach(context, target, K3sRole.SERVER, Milestone.IDENTITY, _STARTED_WITHIN)
    await _prove(context, target, found)
    await k3s.reach(context, target, K3sRole.SERVER, Milestone.ACTIVE, _STARTED_WITHIN)
    context.say(step.target, "serves the cluster")
    return Outcome(labels=changes)


async def _tokens(step: StartOnDatabase, context: Context) -> ClusterTokens:
    """Get the tokens of the healthy master, or those that were found where none is left; never new ones.

    Raises:
        WrongCluster: it is not where it was seen, or does not pin the CA that is recorded.
    """
    if step.via is not None:
        return await cluster_tokens(context, step.via)
    found = await found_tokens(context, step)
    recorded = birth_record.recorded(context).ca
    if recorded is None or not (token_ca(found.server.reveal()) or "").startswith(recorded):
        raise WrongCluster(
            "the token does not pin the CA of the birth record",
            hint=f"Give the whole one: it begins with K10{(recorded or '')[:8]}. Nothing was started.",
        )
    return found


async def _prove(context: Context, target: HostTarget, found: HostFacts) -> None:
    record = birth_record.recorded(context)
    if found.uid == record.uid and (found.disk.server_ca or "").startswith(record.ca or "-"):
        return
    await context.ports.hosts.perform(target, StopK3s(role=K3sRole.SERVER, fence=context.fence))
    raise WrongCluster(
        f"{target.name}: the external database holds another cluster (UID {found.uid}, recorded {record.uid}), or was "
        "empty; its k3s was stopped again",
        hint="See to the database, or to datastore.external_datastore_endpoint; then delete that server at Hetzner.",
    )
