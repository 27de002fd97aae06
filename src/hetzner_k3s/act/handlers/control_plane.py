"""Carries out the steps about the control plane: birth, join, and the repair of a lost master."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from hetzner_k3s.act import birth_record, journal, k3s, witnesses
from hetzner_k3s.act.context import Context, LabelChange, Outcome
from hetzner_k3s.act.handlers import node_labels
from hetzner_k3s.act.handlers.tokens import cluster_tokens
from hetzner_k3s.act.labels import merge, take_off
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import PreconditionChanged, WrongCluster
from hetzner_k3s.model.host import HostFacts, Member
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import Phase, full_token, token_password
from hetzner_k3s.model.operations import members, snapshots
from hetzner_k3s.model.operations.configuration import PointToServer, SetToken
from hetzner_k3s.model.operations.looks import Probe, ReadSecret, SecretKind
from hetzner_k3s.model.operations.members import PromoteLearner
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone, RestartBirth, StopK3s
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.steps import (
    InitControlPlane,
    JoinControlPlane,
    MarkMember,
    RecordBirth,
    RemoveMember,
    SaveSnapshot,
    WipeJoiner,
)
from hetzner_k3s.model.text import wording
from hetzner_k3s.model.tokens import ClusterTokens

_BIRTH_WITHIN = 300.0
_JOIN_WITHIN = 300.0
_NODE_WITHIN = 180.0
_PASSWORD_BYTES = 16
_LINEAGE_BYTES = 8


async def record_birth(step: RecordBirth, context: Context) -> Outcome:
    """Write the birth record; a lineage is minted with `born`, once."""
    record = step.record
    if record.phase is Phase.BORN and record.lineage is None:
        record = replace(record, lineage=context.ports.rng.token_hex(_LINEAGE_BYTES))
    context.say(context.spec.name, f"recording the birth: {step.target}")
    changes = await birth_record.write(context, record.labels(), birth_record.concerned(context, record))
    # Only then: a run killed in between must find its own record, not a memory of a cluster that the project lacks.
    journal.birth_opened(context.ports.local, context.spec.name)
    return Outcome(labels=changes)


async def init_control_plane(step: InitControlPlane, context: Context) -> Outcome:
    """Start the first master, from wherever an earlier run left it, and wait until the cluster has its identity.

    Its `config.yaml` is completed at once with the CA that there is now (a birth begins with a password alone). Nothing
    is started anew for it: both are the same token to k3s, and only a join after a loss of the disk heeds the CA.
    """
    server = context.server(step.server_id)
    target = context.target_of(server)
    facts = await context.ports.hosts.perform(target, Probe())
    tokens = await _birth_tokens(context, target, facts)
    await k3s.configure(context, server, tokens, server_url=None, facts=facts)
    context.say(step.target, "initializing the cluster")
    await _begin(step, context, target, facts)
    born = await k3s.reach(context, target, K3sRole.SERVER, Milestone.IDENTITY, _BIRTH_WITHIN)
    if born.disk.server_ca is not None:
        full = Secret(full_token(born.disk.server_ca, token_password(tokens.server.reveal())))
        await context.ports.hosts.perform(target, SetToken(token=full, revive=False, fence=context.fence))
    return Outcome()


async def _begin(step: InitControlPlane, context: Context, target: HostTarget, facts: HostFacts) -> None:
    """Start the first master: with a permit, from what an earlier run left, or anew beside what was cut off.

    With a WAL, or files of a first start on a database, the guard lets it go on; the permit would only be refused.
    """
    if step.anew:
        context.say(step.target, "putting the log of its first start aside, which was cut off; the CA stays")
        await context.ports.hosts.perform(target, RestartBirth(fence=context.fence))
        return
    birth = facts.disk.empty if context.spec.database else not facts.disk.wal
    await k3s.start(context, target, K3sRole.SERVER, birth=birth)


async def _birth_tokens(context: Context, target: HostTarget, facts: HostFacts) -> ClusterTokens:
    """Return the tokens that are on the host already, since its data may be sealed with them; else new passwords."""
    hosts, rng = context.ports.hosts, context.ports.rng
    if facts.disk.config_token_hash is None:
        return ClusterTokens(Secret(rng.token_hex(_PASSWORD_BYTES)), Secret(rng.token_hex(_PASSWORD_BYTES)))
    server = await hosts.perform(target, ReadSecret(kind=SecretKind.CONFIG_TOKEN))
    if facts.disk.config_agent_hash is None:
        return ClusterTokens(server)
    return ClusterTokens(server, await hosts.perform(target, ReadSecret(kind=SecretKind.CONFIG_AGENT_TOKEN)))


async def join_control_plane(step: JoinControlPlane, context: Context) -> Outcome:
    """Have a master join, promote it the moment it has caught up, and see it as a voter on every living master."""
    server = context.server(step.server_id)
    target = context.target_of(server)
    through = context.server(step.via)
    await k3s.configure(context, server, await cluster_tokens(context, step.via), step.server_url)
    changes = await unmark(context, step.target)
    context.say(step.target, f"joining through {through.name}")
    address = k3s.peer_address(context, server)
    if _starts_anew(step, context):
        await _stop_unless_joined(step, context, target)
    await k3s.start(context, target, K3sRole.SERVER)
    async with _promoting(context, through, address):
        await k3s.reach(context, target, K3sRole.SERVER, Milestone.ACTIVE, _JOIN_WITHIN)
    await _voter_everywhere(context, server, address)
    context.say(step.target, "is a voter")
    return Outcome(labels=changes)


async def _stop_unless_joined(step: JoinControlPlane, context: Context, target: HostTarget) -> None:
    """Stop a k3s that can join only when it starts anew; the host leaves one alone that has joined by itself by now."""
    try:
        await context.ports.hosts.perform(target, StopK3s(role=K3sRole.SERVER, fence=context.fence))
    except PreconditionChanged:
        context.say(step.target, "has found its way into the cluster by itself meanwhile")


async def wipe_joiner(step: WipeJoiner, context: Context) -> Outcome:
    """Put a former member's data aside; the host asks the cluster itself once more whether it is one."""
    changes = await unmark(context, step.target)
    context.say(step.target, "was removed from the cluster; putting its old data aside")
    wipe = members.WipeJoiner(server_url=step.server_url, address=step.address, fence=context.fence)
    await context.ports.hosts.perform(context.target(step.server_id), wipe)
    return Outcome(labels=changes)


def _starts_anew(step: JoinControlPlane, context: Context) -> bool:
    """Check whether its k3s runs and can join only when it starts anew.

    Either its etcd was removed under it (tombstone), or it waits without any data: with the token and for the server
    that it was started with, whatever its `config.yaml` says by now.
    """
    facts = context.state.facts(step.server_id)
    if facts is None:
        return False
    removed = facts.disk.tombstone and facts.server_unit.active == "active"
    return removed or (facts.server_unit.runs and not facts.disk.wal)


@asynccontextmanager
async def _promoting(context: Context, voter: Server, address: str) -> AsyncIterator[None]:
    """Promote the learner at `address` on `voter` meanwhile: 8 s instead of 22 s.

    See docs/facts/k3s.md#promotion.

    Only an accelerator: when it fails, k3s' leader promotes on its own tick, so its failure is not the join's.
    """
    promote = PromoteLearner(peer_address=address, deadline=_JOIN_WITHIN)
    promotion = asyncio.create_task(context.ports.hosts.perform(context.target_of(voter), promote))
    try:
        yield
    finally:
        promotion.cancel()
        await asyncio.gather(promotion, return_exceptions=True)


async def _voter_everywhere(context: Context, joined: Server, address: str) -> None:
    everybody = [joined, *witnesses.others(context, joined.id)]
    what = f"{joined.name} is not a voter"
    await witnesses.agree(context, everybody, lambda members: _is_voter(members, address), what)


def _is_voter(members: Sequence[Member], address: str) -> bool:
    return any(m.address == address and m.name and not m.learner for m in members)


async def mark_member(step: MarkMember, context: Context) -> Outcome:
    """Record that a master is a joined voter: in its labels (the API load balancer's selector) and on its Node."""
    server = context.server(step.server_id)
    via = context.target(step.via)
    known = server.labels.get(naming.LABEL_STATE) == naming.STATE_MEMBER
    context.say(step.target, "correcting its configuration" if known else "recording it as a member")
    labels = {naming.LABEL_STATE: naming.STATE_MEMBER, **step.record.labels()}
    change = await merge(context, "server", server.id, labels)
    if step.rewrite_server_url is not None:
        point = PointToServer(url=step.rewrite_server_url, fence=context.fence)
        await context.ports.hosts.perform(context.target_of(server), point)
    await _write_lineage(context, via, step)
    await context.ports.kube.wait_node_ready(via, step.target, _NODE_WITHIN)
    await node_labels.record(context, via, server)
    return Outcome(labels=(change,))


async def _write_lineage(context: Context, via: HostTarget, step: MarkMember) -> None:
    """Write the ConfigMap that tells a cluster from its own past; one of another lineage is never overwritten."""
    lineage = step.record.lineage
    if lineage is None:
        return
    found = (context.state.kube_of(step.via) or await k3s.cluster_view(context, via)).lineage
    if found is None:
        await context.ports.kube.apply(via, (lineage_object(lineage),))
    elif found not in {lineage, step.record.parent}:
        raise WrongCluster(
            f"{via.name} serves lineage {found}, the birth record says {lineage}",
            hint="Two histories of one cluster; nothing more was written.",
        )


def lineage_object(lineage: str) -> dict[str, object]:
    """Return the ConfigMap that carries the lineage inside the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "hetzner-k3s", "namespace": "kube-system"},
        "data": {"lineage": lineage},
    }


async def save_snapshot(step: SaveSnapshot, context: Context) -> Outcome:
    """Save a snapshot before anything is removed; the host checks that it is there and not empty."""
    target = context.target(step.via)
    context.say(target.name, f"saving the snapshot {step.target}")
    snapshot = await context.ports.hosts.perform(target, snapshots.SaveSnapshot(name=step.target, fence=context.fence))
    context.say(target.name, f"saved {wording.size(snapshot.size)}")
    return Outcome()


async def remove_member(step: RemoveMember, context: Context) -> Outcome:
    """Remove a dead member through etcd's gateway, before its Node: Node deletion alone can wait 45 s for a lease."""
    target = context.target(step.via)
    context.say(step.target, f"removing its etcd member on {target.name}")
    changes = await unmark(context, step.target)
    removal = members.RemoveMember(member_id=step.member_id, precondition=step.precondition, fence=context.fence)
    await context.ports.hosts.perform(target, removal)
    return Outcome(labels=changes)


async def unmark(context: Context, name: str) -> tuple[LabelChange, ...]:
    """Take a master off the API load balancer before its member goes.

    See docs/facts/recovery.md#balancer-targets.

    That its data was of an earlier lineage is forgotten with it: what joins is of the present one.
    """
    server = context.state.server(name)
    gone = lookup.outlived_labels(context.spec, context.state.view, server) if server is not None else ()
    if server is None or not gone:
        return ()
    return (await take_off(context, server.id, gone),)
