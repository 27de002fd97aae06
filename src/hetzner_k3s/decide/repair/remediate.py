"""Repair of a lost master: gates that hold still where a member's end is not proven, and the one repair we do.

The order is that of docs/architecture.md#order-of-repair: the replacement server ordered; while it boots a snapshot
saved, the dead member removed, Node and secret gone; joining is `join`'s. Everything is planned from facts alone, so
a run that was killed halfway is simply gone on with.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.lifecycle.provision import prepare
from hetzner_k3s.decide.repair import power
from hetzner_k3s.decide.repair.pre_repair_snapshot import saved_before, saving
from hetzner_k3s.decide.repair.stale_nodes import stale_node
from hetzner_k3s.decide.view import predictions, quorum
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.members import DeadMember
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.voters import healthy_ids, members_precondition
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DeleteNode, RemoveMember, SaveSnapshot, Step

SETTLE_DEADLINE = 60.0
"""Seconds given to the survivors' etcd to notice that a peer's machine is gone, and to the API to name that machine."""


def members_explained(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while the member list holds somebody whose fate is not proven."""
    stray = tuple(
        Refusal(
            code="member.unexplained",
            saw=f"etcd lists the member {s.member.name or s.member.id} ({s.member.address or 'no address'}): {s.why}.",
            why="Whether its machine still lives is not proven, so it is not removed.",
            you_can=_find_it(s.member),
        )
        for s in context.stray
        if not s.transient
    )
    return stray + _unsafe_removal(context)


def _find_it(member: Member) -> str:
    node = member.node
    how = f"delete its Node (`kubectl delete node {node}`): that removes the member" if node else "remove the member"
    return (
        "Find that machine; another server that has its address now can leave the network. If it is gone for good, "
        f"{how}. Then run `create` again."
    )


def _unsafe_removal(context: DecisionContext) -> tuple[Refusal, ...]:
    refusals = []
    for lost in () if power.awaited(context) else context.repairable[:1]:
        verdict = quorum.can_remove(context.control_plane.members, healthy_ids(context), lost.member.id)
        if not verdict.ok:
            refusals.append(
                Refusal(
                    code="member.removal-unsafe",
                    saw=f"The member of {lost.master or 'no master'} is dead, but {verdict.because}.",
                    why="Removing it now could cost quorum.",
                    you_can="Wait until the other masters are healthy voters, then run `create` again.",
                    transient=True,
                )
            )
    return tuple(refusals)


def repair(context: ServingContext) -> Proposal | None:
    """Lead one lost master to the point where its replacement may join; no proposal when nobody is lost."""
    waiting = tuple(_unsettled(s.member.name, s.why) for s in context.stray if s.transient)
    if waiting:
        return Proposal(waits=waiting)
    if context.repairable:
        return Proposal(_replace(context, context.repairable[0]))
    waiting_for_stock = {lost.master for lost in context.dead}  # k3s removes the member of a Node that is deleted
    renewed = [m for m in context.control_plane.masters if m.never_started and m.name not in waiting_for_stock]
    stale = [step for master in renewed if (step := stale_node(context, master)) is not None]
    return Proposal(tuple(stale[:1])) if stale else None


def _unsettled(member: str, why: str) -> Wait:
    return Wait(what=f"the fate of member {member} to be known", because=why, deadline=SETTLE_DEADLINE)


def _replace(context: ServingContext, lost: DeadMember) -> tuple[PlannedStep, ...]:
    nobody = f"nobody at {lost.member.address or 'no address'}"
    owner = context.control_plane.master(lost.master) if lost.master else None
    because = _because(lost.master, owner)
    unready = owner if owner is not None and _lacks_its_server(context, lost, owner) else None
    preparation = prepare(context, unready, because, lost=True) if unready else ()
    if not saved_before(context, lost.member):
        return (saving(context, lost.member, lost.master or nobody), *preparation)
    if lost.master and owner is None:
        return ()
    if unready is not None and not _is_bought(context, unready):
        return preparation
    return (_planned(_removal(context, lost, lost.master or nobody), because), *preparation)


def _because(master: str, owner: MasterView | None) -> str:
    if not master:
        return "it is a learner that never started, and no server holds its address"
    if owner is None or owner.never_started:
        return _PROOF.format(master)
    return f"{master} is there, but {owner.detail or _NO_DATA}"


def _lacks_its_server(context: DecisionContext, lost: DeadMember, owner: MasterView) -> bool:
    """Check whether the server that may take the lost one's place has yet to be made ready."""
    return owner.never_started and owner.k3s is not K3s.READY and not context.address_is_taken(lost)


def _is_bought(context: DecisionContext, owner: MasterView) -> bool:
    """Check whether Hetzner took this run's order for the successor: it will come, and its disk is new.

    One that was there before is proven empty first. Without capacity the cluster stays as it was.
    """
    return owner.server is not None and owner.server.id in context.state.ordered


_PROOF = "{} is gone: complete listing, no server of its id with its data, no peer connected to it"
_NO_DATA = "holds no data of its member"


def _removal(context: ServingContext, lost: DeadMember, target: str) -> Step:
    return RemoveMember(
        target=target,
        member_id=lost.member.id,
        via=context.gateway.server.id,
        precondition=members_precondition(context),
    )


def _planned(step: Step, because: str) -> PlannedStep:
    return PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because=because)


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a step of repair."""
    match step:
        case SaveSnapshot():
            return predictions.with_snapshot(state, step.via, step.target)
        case RemoveMember():
            return _unmarked(spec, predictions.without_member(state, step.member_id), step.target)
        case DeleteNode():
            return predictions.map_kube(state, lambda kube: _without_node(kube, step.target))
        case _:
            return state


def _unmarked(spec: ClusterSpec, state: ClusterState, name: str) -> ClusterState:
    server = state.server(name)
    return predictions.without_membership(spec, state, server.id) if server is not None else state


def _without_node(kube: KubeView, name: str) -> KubeView:
    return replace(
        kube,
        nodes=tuple(n for n in kube.nodes if n.name != name),
        node_passwords=tuple(n for n in kube.node_passwords if n != name),
    )
