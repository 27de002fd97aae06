"""Carries out what follows a disaster: hold, copy, fence, reset, and the lineage that a reset begins."""

from __future__ import annotations

from hetzner_k3s.act import birth_record, k3s
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.act.handlers.control_plane import lineage_object
from hetzner_k3s.act.labels import take_off
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.operations import disaster
from hetzner_k3s.model.operations.disaster import HoldK3s, ResetCluster
from hetzner_k3s.model.operations.looks import Probe, ReadSecret, SecretKind
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.operations.service import Milestone
from hetzner_k3s.model.state import Rescue
from hetzner_k3s.model.steps import AdoptLineage, FenceMember, FetchDatabase, HoldMaster, ResetQuorum
from hetzner_k3s.model.tokens import ClusterTokens

_START_WITHIN = 300.0
_NODE_WITHIN = 180.0
_LINEAGE_BYTES = 8


async def hold_master(step: HoldMaster, context: Context) -> Outcome:
    """Stop k3s on a master and keep it down."""
    if step.watched:
        context.say(step.target, f"watching for {step.watched:.0f} s whether its etcd finds a leader after all")
    context.say(step.target, "stopping k3s; nothing in its data is changed")
    hold = HoldK3s(precondition=step.precondition, watched=step.watched, fence=context.fence)
    await context.ports.hosts.perform(context.target(step.server_id), hold)
    return Outcome()


async def fetch_database(step: FetchDatabase, context: Context) -> Outcome:
    """Copy a held master's data to this machine, file by file verified, and say where it lies."""
    context.say(step.target, "copying its datastore, keys and token to this machine")
    rescue = Rescue(server_id=step.server_id, server=step.target, log=step.log)
    archive = context.ports.hosts.stream(context.target(step.server_id), disaster.FetchDatabase())
    place = await context.ports.local.keep_rescue(rescue, archive)
    context.say(step.target, f"copied to {place}; checksums verified, readable by you alone")
    return Outcome()


async def fence_member(step: FenceMember, context: Context) -> Outcome:
    """Take a master off the load balancer, then move its data aside on its host."""
    context.say(step.target, "moving its data aside; it stays on its disk")
    change = await take_off(context, step.server_id, naming.MEMBER_LABELS)
    fence = disaster.FenceMember(ca=step.ca, fence=context.fence)
    await context.ports.hosts.perform(context.target(step.server_id), fence)
    return Outcome(labels=(change,))


async def reset_quorum(step: ResetQuorum, context: Context) -> Outcome:
    """Make a master its cluster's only member under a new lineage, and see by its own word whose cluster it serves."""
    target = context.target(step.server_id)
    await _with_configuration(context, context.server(step.server_id), target)
    lineage = context.ports.rng.token_hex(_LINEAGE_BYTES)
    context.say(step.target, "becomes the only member; writes that only the lost masters acknowledged may be missing")
    reset = ResetCluster(ca=step.ca, lineage=lineage, parent=step.record.lineage, fence=context.fence)
    await context.ports.hosts.perform(target, reset)
    facts = await k3s.reach(context, target, K3sRole.SERVER, Milestone.ACTIVE, _START_WITHIN)
    _prove(step, facts, step.record)
    await context.ports.kube.wait_node_ready(target, step.target, _NODE_WITHIN)
    context.say(step.target, "serves the cluster alone")
    return Outcome()


async def _with_configuration(context: Context, server: Server, target: HostTarget) -> None:
    """Give a host of 2.x a `config.yaml` and our unit: k3s resets by its configuration, which there are flags alone."""
    facts = await context.ports.hosts.perform(target, Probe())
    if not (facts.held and facts.disk.server_by_flags):
        return
    token = await context.ports.hosts.perform(target, ReadSecret(kind=SecretKind.TOKEN))
    await k3s.configure(context, server, ClusterTokens(token), server_url=None, facts=facts)
    await k3s.leave_2x(context, server, facts)


def _prove(step: ResetQuorum, facts: HostFacts, record: BirthRecord) -> None:
    """Believe neither exit code nor log: CA, UID and member list tell (docs/facts/k3s.md#reset)."""
    uid, members = k3s.uid_of(facts, step.target), facts.etcd.members or ()
    lost = [m for m in members if m.id != facts.etcd.member_id and m.id not in facts.etcd.active_peers]
    if facts.disk.server_ca == step.ca and uid == record.uid and members and not lost:
        return  # an empty master whose k3s waited for a quorum may have joined by now
    raise WrongCluster(
        f"{step.target} was reset and now has CA {(facts.disk.server_ca or '-')[:8]}, UID {uid} and "
        f"{len(members)} members; expected were CA {step.ca[:8]}, UID {record.uid or '-'} and one",
        hint="Do not join anything to it. Its data from before lies in this machine's copy.",
    )


async def adopt_lineage(step: AdoptLineage, context: Context) -> Outcome:
    """Write a lineage into the record, the labels of the master that runs under it, and the ConfigMap.

    Each label carries its parent, so a run that is killed between two of them leaves no contradiction.
    """
    context.say(step.target, f"recording lineage {step.record.lineage}")
    carriers = birth_record.carriers(context.spec, context.state.view)
    ours = [c for c in carriers if c.kind != "server" or c.resource.id == step.via]
    changes = await birth_record.write(context, step.record.labels(), ours)
    await context.ports.kube.apply(context.target(step.via), (lineage_object(step.record.lineage or ""),))
    return Outcome(labels=changes)
