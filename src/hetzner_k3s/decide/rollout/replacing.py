"""Another server under the same name, or another type for the same one: emptied first, then deleted or turned off.

A master's member is retired before its server goes. What follows is the repair of any lost server, so a run that was
cut off anywhere is gone on with by facts alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.lifecycle.emptying import Why, emptying
from hetzner_k3s.decide.repair.pre_repair_snapshot import Occasion, saved_before, saving
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view import predictions, quorum
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.decide.view.servers.server_view import ServerView
from hetzner_k3s.decide.view.voters import healthy_ids, member_of, members_precondition
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.consents import DeleteLocalData, MakeAnew
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import (
    DeleteServer,
    ResizeMaster,
    ResizeWorker,
    RetireMember,
    Step,
    UnmarkMember,
)

SNAPSHOT: Final = "pre-rollout"


def _why(context: ServingContext) -> str:
    if context.consents.get(MakeAnew) is not None:
        return "its replacement was asked for"
    return "only a server that is made anew is as the file says"


def of_master(context: ServingContext, master: MasterView, server: Server) -> PlannedStep | None:
    """Lead a master that serves a step further on its way out; None while its member must not go."""
    member, node = member_of(context, master), context.node(master.name)
    if labelled_member(server):
        return _planned(context, UnmarkMember(target=master.name, server_id=server.id), _why(context))
    if (emptied := emptying(context, node, Scope.CONTROL_PLANE, _away(context))) is not None:
        return emptied
    if context.control_plane.on_database:
        return _deletion(context, server, Scope.CONTROL_PLANE)
    return None if member is None else _retirement(context, server, member)


def of_worker(context: ServingContext, worker: ServerView, server: Server) -> PlannedStep:
    """Empty a worker, then delete its server."""
    emptied = emptying(context, context.node(worker.name), Scope.WORKER, _away(context))
    return emptied or _deletion(context, server, Scope.WORKER)


def deletion_of_retired(context: ServingContext, todo: Mapping[str, frozenset[Remedy]]) -> Proposal | None:
    """Delete the server of a master whose member is retired: it would join again, with the disk that it has."""
    for master in context.control_plane.masters:
        server, facts = master.server, master.facts
        if server is None or facts is None or Remedy.REPLACE not in todo.get(master.name, ()):
            continue
        if facts.disk.tombstone and member_of(context, master) is None and server.status is not ServerStatus.DELETING:
            return Proposal((_deletion(context, server, Scope.CONTROL_PLANE),), alone=True)
    return None


def resizing(context: ServingContext, view: ServerView, server: Server, scope: Scope) -> PlannedStep:
    """Empty a server, then give it another type."""
    if (emptied := emptying(context, context.node(view.name), scope, _off(context))) is not None:
        return emptied
    kind = ResizeMaster if isinstance(view.spec, MasterSpec) else ResizeWorker
    step = kind(
        target=view.name,
        server_id=server.id,
        via=_another(context, view.name) or context.gateway.server.id,
        server_type=view.spec.instance_type,
    )
    return _planned(context, step, f"it is a {server.server_type}, and Hetzner changes that while it is off", scope)


def _retirement(context: ServingContext, server: Server, member: Member) -> PlannedStep | None:
    via = _another(context, server.name)
    occasion = Occasion(SNAPSHOT, Reason.DIFFERS, consent=selection.consent_of(context))
    if via is not None and not saved_before(context, server, occasion, leaving=server.name):
        return saving(context, server, server.name, occasion, leaving=server.name)
    verdict = quorum.can_retire(context.control_plane.members, healthy_ids(context), member.id)
    heir = next((m.id for m in context.control_plane.members if m.id != member.id), None)
    if not verdict.ok or heir is None or via is None:
        return None
    step = RetireMember(
        target=server.name,
        server_id=server.id,
        member_id=member.id,
        via=via,
        heir=heir,
        precondition=members_precondition(context),
    )
    return _planned(context, step, f"{_why(context)}, and {verdict.because}")


def _another(context: ServingContext, name: str) -> int | None:
    """Return a master that serves, and is not this one."""
    others = (m.server.id for m in context.control_plane.masters if m.server and m.serves and m.name != name)
    return next(others, None)


def _deletion(context: ServingContext, server: Server, scope: Scope) -> PlannedStep:
    heeded = None if DeleteLocalData() in context.consents else _another(context, server.name)
    return _planned(context, DeleteServer(target=server.name, server_id=server.id, via=heeded), _why(context), scope)


def _away(context: ServingContext) -> Why:
    return Why(
        cordon=_why(context),
        drain="its pods must run elsewhere before its server goes",
        reason=Reason.DIFFERS,
        consent=selection.consent_of(context),
    )


def _off(context: ServingContext) -> Why:
    return Why(
        cordon="it gets another server type, and is off meanwhile",
        drain="its pods run elsewhere while it is off",
        reason=Reason.DIFFERS,
        consent=selection.consent_of(context),
        disk_stays=True,
    )


def _planned(context: ServingContext, step: Step, because: str, scope: Scope = Scope.CONTROL_PLANE) -> PlannedStep:
    return selection.planned(context, step, because, scope)


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a server has another type."""
    if not isinstance(step, ResizeMaster | ResizeWorker):
        return state

    def resized(server: Server) -> Server:
        return replace(server, server_type=step.server_type) if server.id == step.server_id else server

    return predictions.map_servers(state, resized)
