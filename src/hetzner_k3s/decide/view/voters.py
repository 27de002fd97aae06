"""Who votes and is well, by its own word or by its peers', and who may go since the others do."""

from __future__ import annotations

from hetzner_k3s.decide.view import quorum
from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.model.consents import Replace
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.operations.members import MembersPrecondition


def healthy_ids(context: DecisionContext) -> frozenset[str]:
    """Return the member ids of the masters whose own hosts say that they are voters and see a leader."""
    facts = [m.facts for m in context.control_plane.all_masters if m.facts is not None]
    return frozenset(f.etcd.member_id for f in facts if f.etcd.member_id is not None and f.voter)


def others_serve(context: DecisionContext, master: MasterView) -> bool:
    """Check whether the cluster goes on without a master: a quorum of healthy voters, or one on the database.

    See docs/architecture.md#law-5.
    """
    if context.control_plane.on_database:
        return any(
            m.facts is not None and m.facts.serves and m.name != master.name for m in context.control_plane.all_masters
        )
    voters, member = quorum.voters(context.control_plane.members), member_of(context, master)
    left = healthy_ids(context) - {member.id if member else ""}
    return bool(voters) and len(left) >= quorum.majority(len(voters))


def healthy_names(context: DecisionContext) -> str:
    """Name the masters that are healthy voters, and how many voters there are; on a database, those that serve."""
    if context.control_plane.on_database:
        names = [m.name for m in context.control_plane.all_masters if m.facts is not None and m.facts.serves]
        return f"{len(names)} of {len(context.control_plane.all_masters)} ({', '.join(names) or 'none'})"
    healthy, voters = healthy_ids(context), quorum.voters(context.control_plane.members)
    names = [m.name for m in context.control_plane.all_masters if m.facts and m.facts.etcd.member_id in healthy]
    return f"{len(names)} of {len(voters)} ({', '.join(names) or 'none'})"


def member_of(context: DecisionContext, master: MasterView) -> Member | None:
    """Find a master's member: the one that its host says it is, else the one of its name."""
    own = master.facts.etcd.member_id if master.facts else None
    listed = [m for m in context.control_plane.members if m.id == own or m.node == master.name]
    return min(listed, key=lambda m: m.id != own, default=None)


def witnesses(context: DecisionContext, master: MasterView) -> tuple[str, ...]:
    """Name the healthy masters whose etcd is connected to that of a voter which we cannot look at.

    They are the second witness of docs/architecture.md#absence: its etcd is well, and only our way to it is broken.
    """
    member = member_of(context, master)
    if master.barrier is not Barrier.SILENT or member is None or member.learner:
        return ()
    return tuple(m.name for m in context.control_plane.all_masters if m.facts and m.facts.voter and _sees(m, member))


def _sees(witness: MasterView, member: Member) -> bool:
    return witness.facts is not None and member.id in witness.facts.etcd.active_peers


def witnessed_ids(context: DecisionContext) -> frozenset[str]:
    """Return the member ids of voters that we cannot look at and whose peers say that they are well."""
    silent = (m for m in context.control_plane.masters if witnesses(context, m))
    return frozenset(member.id for m in silent if (member := member_of(context, m)) is not None)


def discarded(context: DecisionContext) -> frozenset[str]:
    """Name the masters that are there, not well, and are discarded with `Replace`."""
    if context.control_plane.record.phase is not Phase.BORN:
        return frozenset()
    asked = ((r.named, context.control_plane.master(r.named)) for r in context.consents.every(Replace))
    return frozenset(name for name, m in asked if m is not None and m.trouble is not None and others_serve(context, m))


def members_precondition(context: ServingContext) -> MembersPrecondition:
    """Return what a host has to see, too, before a member is removed: the list and the cluster that were decided on."""
    return MembersPrecondition(
        ids=tuple(sorted(m.id for m in context.control_plane.members)), uid=context.gateway.facts.etcd.uid or ""
    )
