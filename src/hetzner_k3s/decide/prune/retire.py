"""Letting go what is beyond the file, with `Prune`: masters one at a time, workers each by itself.

The order for a master is that of docs/facts/recovery.md#shrink-order: off the load balancer, drained, leadership handed
over, its member removed and seen gone on every master, its Node and at last its server deleted; the server first where
its k3s still runs, for it would join anew. A dead one goes before any living one, then the highest number. Whether that
is safe, and whether each may go, the gates of `permission` say. All of it is planned from facts alone, so a run that
was killed is simply gone on with.
"""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.lifecycle.emptying import Why, emptying
from hetzner_k3s.decide.lifecycle.join import SETTLE_DEADLINE
from hetzner_k3s.decide.lifecycle.workers import view_worker
from hetzner_k3s.decide.prune.permission import anothers_node, let_go, member_beyond, not_yet_members
from hetzner_k3s.decide.repair.pre_repair_snapshot import PRUNE, saved_before, saving
from hetzner_k3s.decide.rollout import selection, surge
from hetzner_k3s.decide.view import extra_servers, predictions, quorum
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.node_machine import NamedServer, doubt
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.decide.view.voters import healthy_ids, members_precondition
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import Consent, DeleteLocalData, Prune
from hetzner_k3s.model.host import EtcdFacts, Member
from hetzner_k3s.model.kube import KubeNode, Leaving
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    CordonNode,
    DeleteNode,
    DeleteServer,
    DrainNode,
    RemoveMember,
    RetireMember,
    Step,
    UncordonNode,
    UnmarkMember,
    UnmarkSurge,
)

_BEYOND = "it is beyond the file"
_SURGED = "it was there for the rollout alone, and no worker of its pool is left to be made anew"
AWAY = Why(
    cordon=_BEYOND, drain="its pods must run elsewhere before its server goes", reason=Reason.SHRINK, consent=Prune()
)
_DELETED = "somebody is deleting its server at this moment, and its member is dead only when that has ended"

DELETION = 300.0
"""Seconds given to Hetzner to delete a server."""


def remove_dead_members(context: ServingContext) -> Proposal | None:
    """Remove the dead member of a master beyond the file: before anything joins, since etcd takes nobody beside it."""
    if Prune() not in context.consents or not context.dead_beyond:
        return None
    members, healthy = context.control_plane.members, healthy_ids(context)
    verdicts = [(lost, quorum.can_remove(members, healthy, lost.member.id)) for lost in context.dead_beyond]
    lost, verdict = next((v for v in verdicts if v[1].ok), verdicts[0])
    if not verdict.ok:
        what = f"the control plane to settle before the member of {lost.master} goes"
        return Proposal(waits=(Wait(what=what, because=verdict.because, deadline=SETTLE_DEADLINE),))
    because = f"{_BEYOND}, and its server is gone"
    if not saved_before(context, lost.member, PRUNE):
        return Proposal((saving(context, lost.member, lost.master, PRUNE),))
    via = context.gateway.server.id
    step = RemoveMember(
        target=lost.master, member_id=lost.member.id, via=via, precondition=members_precondition(context)
    )
    return Proposal((_planned(step, because),))


def remove_masters(context: ServingContext) -> Proposal | None:
    """Let one master beyond the file go a step further, when those of the file are all members."""
    if Prune() not in context.consents or context.control_plane.kube is None:
        return None
    if not_yet_members(context):
        return None
    for master in sorted(
        context.control_plane.surplus, key=lambda m: (member_beyond(context, m) is not None, -m.spec.index)
    ):
        step = _next(context, master)
        if step is not None:
            return Proposal((step,))
    going = (m.server for m in context.control_plane.surplus if m.server and m.server.status is ServerStatus.DELETING)
    waits = tuple(Wait(what=f"the end of {s.name}", because=_DELETED, deadline=DELETION) for s in going)
    return Proposal(waits=waits) if waits else None


def _next(context: ServingContext, master: MasterView) -> PlannedStep | None:
    member, node = member_beyond(context, master), context.node(master.name)
    if master.server is None:
        return None if member or node is None else node_of_nobody(context, node)
    if member is not None and master.server.status is ServerStatus.DELETING:
        return None
    if member is None:
        return _remains(context, master.server, node, Scope.CONTROL_PLANE, joins_again=_would_join_again(master))
    if labelled_member(master.server):
        return _planned(UnmarkMember(target=master.name, server_id=master.server.id), _BEYOND)
    if (step := emptying(context, node, Scope.CONTROL_PLANE, AWAY)) is not None:
        return step
    return _retirement(context, master.server, member)


def _would_join_again(master: MasterView) -> bool:
    """Check whether k3s still runs on a master whose member was removed: at its next start it joins as a new one.

    A run that was killed right after the removal leaves it so; the Node may take half a minute to go.
    """
    facts = master.facts
    return facts is not None and facts.disk.tombstone and facts.server_unit.runs


def _retirement(context: ServingContext, server: Server, member: Member) -> PlannedStep | None:
    if not saved_before(context, member, PRUNE):
        return saving(context, member, server.name, PRUNE)
    step = RetireMember(
        target=server.name,
        server_id=server.id,
        member_id=member.id,
        via=context.gateway.server.id,
        heir=context.gateway.facts.etcd.member_id or "",
        precondition=members_precondition(context),
    )
    verdict = quorum.can_retire(context.control_plane.members, healthy_ids(context), member.id)
    return _planned(step, f"{_BEYOND}, and {verdict.because}") if verdict.ok else None


def _remains(
    context: ServingContext,
    server: Server,
    node: KubeNode | None,
    scope: Scope,
    why: Why = AWAY,
    *,
    joins_again: bool = False,
) -> PlannedStep | None:
    """Plan the deletion of a Node with its secret, and at last of the server; None while its Node may be another's.

    The server goes first where its k3s would join again.
    """
    if anothers_node(context, server) is not None:
        return None
    via, given_up = context.gateway.server.id, DeleteLocalData() in context.consents
    known = context.control_plane.kube.node_passwords if context.control_plane.kube else ()
    if not joins_again and (node is not None or server.name in known):
        emptied = node is not None and node.leaving is Leaving.DRAINED
        step: Step = DeleteNode(
            target=server.name,
            uid=node.uid if node else None,
            via=via,
            emptied=emptied,
            volumes_may_go=given_up,
        )
    else:
        step = DeleteServer(target=server.name, server_id=server.id, via=None if given_up else via)
    because = f"{why.cordon}, and its k3s would join again" if joins_again else why.cordon
    return _planned(step, because, scope, why.consent)


def node_of_nobody(context: ServingContext, node: KubeNode) -> PlannedStep | None:
    """Plan to delete the Node of a machine beyond the file that is proven gone."""
    gone = NamedServer(name=node.name, server=None, facts=None)
    if doubt(node, gone, context.state, context.control_plane.internal_ips) is not None:
        return None
    step = DeleteNode(target=node.name, uid=node.uid, via=context.gateway.server.id)
    scope = Scope.CONTROL_PLANE if node.control_plane else Scope.WORKER
    return _planned(step, f"{_BEYOND}, and its server is gone", scope)


def _planned(
    step: Step, because: str, scope: Scope = Scope.CONTROL_PLANE, consent: Consent | None = AWAY.consent
) -> PlannedStep:
    return PlannedStep(step=step, scope=scope, reason=Reason.SHRINK, because=because, consent=consent)


def remove_workers(context: ServingContext) -> Proposal | None:
    """Let the workers beyond the file go, each by itself, when those of the file are there to take their pods over."""
    if context.control_plane.kube is None:
        return None
    leaving = let_go(context)
    nodes = extra_servers.nodes_of_gone_workers(context.spec, context.view, context.control_plane.kube)
    left_over = tuple(nodes) if Prune() in context.consents else ()
    if not (leaving or left_over) or not all(view_worker(context, w).is_member for w in context.spec.workers()):
        return None
    steps = [*(_next_of_worker(context, *going) for going in leaving), *(node_of_nobody(context, n) for n in left_over)]
    return Proposal(tuple(step for step in steps if step is not None))


def _next_of_worker(context: ServingContext, server: Server, consent: Consent) -> PlannedStep | None:
    if consent != Prune() and not _pool_takes_pods(context, server):
        return None
    node = context.node(server.name)
    why = AWAY if consent == Prune() else replace(AWAY, cordon=_SURGED, consent=consent)
    own = node is not None and node.machine in {None, server.id}  # else it says nothing of this machine's pods
    return (emptying(context, node, Scope.WORKER, why) if own else None) or _remains(
        context, server, node, Scope.WORKER, why
    )


def _pool_takes_pods(context: ServingContext, server: Server) -> bool:
    """Check whether all workers of a surge server's pool take pods, so that those it has may go there."""
    pool = surge.pool_of(context, server)
    return all(view_worker(context, worker).takes_pods for worker in context.spec.workers() if worker.pool == pool)


def take_back(context: ServingContext) -> Proposal | None:
    """Uncordon Nodes that the file wants and that were cordoned for a `Prune` that stopped, or a restart that ended."""
    rolling = selection.waiting(context)
    wanted = (s.name for s in context.spec.servers() if s.name not in rolling)
    there = ((server, context.node(server.name)) for server in map(context.server, wanted) if server is not None)
    # The Node of the server before it goes with that: it is only not gone yet.
    marked = [n for server, n in there if n is not None and n.leaving is not None and n.machine in {None, server.id}]
    return Proposal(tuple(_taken_back(context, node) for node in marked))


def _taken_back(context: ServingContext, node: KubeNode) -> PlannedStep:
    return PlannedStep(
        step=UncordonNode(target=node.name, via=context.gateway.server.id),
        scope=Scope.CONTROL_PLANE if node.control_plane else Scope.WORKER,
        reason=Reason.UNFINISHED,
        because=_taking_back(context),
    )


def _taking_back(context: ServingContext) -> str:
    if selection.consent_of(context) is not None:
        return "it is as the file says, and its pods may come back"
    return f"an unfinished {Prune()} or rollout cordoned it, and the file wants it"


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a step on the way out."""
    match step:
        case UnmarkMember():
            return _without_label(state, step.server_id, naming.LABEL_STATE)
        case UnmarkSurge():
            return _without_label(state, step.server_id, naming.LABEL_SURGE)
        case CordonNode():
            return _with_node(state, step.target, Leaving.CORDONED)
        case DrainNode():
            return _with_node(state, step.target, Leaving.DRAINED)
        case UncordonNode():
            return _with_node(state, step.target, None)
        case RetireMember():
            return _retired(state, step)
        case _:
            return state


def _without_label(state: ClusterState, server_id: int, label: str) -> ClusterState:
    def change(server: Server) -> Server:
        left = {key: value for key, value in server.labels.items() if key != label}
        return replace(server, labels=left) if server.id == server_id else server

    return predictions.map_servers(state, change)


def _with_node(state: ClusterState, name: str, leaving: Leaving | None) -> ClusterState:
    def change(node: KubeNode) -> KubeNode:
        return replace(node, leaving=leaving) if node.name == name else node

    return predictions.map_kube(state, lambda kube: replace(kube, nodes=tuple(map(change, kube.nodes))))


def _retired(state: ClusterState, step: RetireMember) -> ClusterState:
    """Take the member off every list; its own etcd ends and notes that on the disk, and its k3s is stopped."""
    left = predictions.without_member(state, step.member_id)
    kube = {k: reading for k, reading in left.kube.items() if k != step.server_id}
    if step.server_id in left.kube:
        kube[step.via] = left.kube[step.server_id]
    left = predictions.map_etcd(replace(left, kube=kube), lambda etcd: _without(etcd, step))
    return predictions.with_facts(
        left,
        step.server_id,
        lambda facts: replace(
            facts,
            server_unit=replace(facts.server_unit, active="inactive"),
            disk=replace(facts.disk, tombstone=True),
            etcd=EtcdFacts(),
        ),
    )


def _without(etcd: EtcdFacts, step: RetireMember) -> EtcdFacts:
    leader = step.heir if etcd.leader == step.member_id else etcd.leader
    return replace(etcd, leader=leader, active_peers=tuple(p for p in etcd.active_peers if p != step.member_id))
