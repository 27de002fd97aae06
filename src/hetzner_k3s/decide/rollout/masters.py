"""Masters, strictly one at a time: off the load balancer, started anew, back as a voter; the leader last.

All of it is planned from facts alone: a master that has been through it differs in nothing any more, so a run that was
cut off is gone on with by the same command.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from hetzner_k3s.decide.lifecycle.join import api_url
from hetzner_k3s.decide.repair.pre_repair_snapshot import saver
from hetzner_k3s.decide.rollout import replacing, selection, staging
from hetzner_k3s.decide.view import predictions, quorum
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.servers.contact import Reached
from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.decide.view.voters import healthy_ids, member_of, members_precondition
from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.host import STEADY_AFTER, DiskFacts, EtcdFacts, HostFacts, UnitFacts
from hetzner_k3s.model.hosts.s3_settings import settings, settings_hash
from hetzner_k3s.model.plan import PlannedStep, Scope, Wait
from hetzner_k3s.model.snapshots import plain_name
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ReconfigureMaster, SaveSnapshot, Step, UnmarkMember

_SETTLE_DEADLINE: Final = 2 * STEADY_AFTER
"""Seconds given to the others: of two, the other one's k3s ends once (docs/facts/k3s.md#restart-for-a-change)."""
_SAVED_WITHIN: Final = 1800.0
"""Seconds for which a snapshot counts as the one of this rollout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Turn:
    """The master whose turn it is: there is a server, and its host answered."""

    view: MasterView
    server: Server
    facts: HostFacts


def next_master(context: ServingContext) -> Proposal | None:
    """Lead one master through its restart; nothing else is begun meanwhile, in no scope.

    Nor after one did not come back: off the balancer, it would be taken for a server that joins.
    """
    if context.intent.halted:
        return Proposal(alone=True)
    todo = selection.waiting(context)
    if (deletion := replacing.deletion_of_retired(context, todo)) is not None:
        return deletion
    masters = [m for m in context.control_plane.masters if m.name in todo]
    turns = [turn for m in masters if (turn := _turn(context, m, todo[m.name])) is not None]
    if not turns or not staging.all_ready(context, todo):
        return None
    if context.in_flight:
        return Proposal(alone=True)
    turn = min(turns, key=lambda t: _order(context, t))
    if any(_comes_first(m) for m in context.control_plane.masters if m.name != turn.view.name):
        return None
    if (others := _others_unwell(context, turn)) is not None:
        return others
    step = _next(context, turn, todo[turn.view.name])
    return Proposal((step,), alone=True) if step is not None else None


def is_seen_to(context: ServingContext, master: MasterView) -> bool:
    """Check whether a master that is not well is the one that a rollout starts anew: another file may make it well."""
    remedies = selection.waiting(context).get(master.name, frozenset())
    return not (master.serves or context.intent.halted) and _turn(context, master, remedies) is not None


def _turn(context: ServingContext, master: MasterView, remedies: frozenset[Remedy]) -> _Turn | None:
    """Return a master that k3s runs on; one that is not well only where it is to run with something else.

    One that was taken off the balancer and did not come back looks as if it joined: its member tells that it has.
    """
    if master.server is None or master.facts is None or not isinstance(master.contact, Reached):
        return None
    member, restarts = member_of(context, master), bool(remedies & {Remedy.RESTART, Remedy.UPGRADE})
    fallen = master.k3s is K3s.JOINING and master.facts.disk.wal and member is not None and not member.learner
    turns = master.k3s is K3s.SERVING or (restarts and (fallen or master.k3s is K3s.SICK))
    runs = turns and master.facts.server_unit.runs
    return _Turn(view=master, server=master.server, facts=master.facts) if runs else None


def _order(context: ServingContext, turn: _Turn) -> tuple[bool, bool, bool, int]:
    """Put what is not well first, then what was begun, and the leader last: each restart of it is an election."""
    leads = turn.facts.etcd.member_id is not None and turn.facts.etcd.member_id == context.gateway.facts.etcd.leader
    return _is_well(turn.view), labelled_member(turn.server), leads, turn.view.spec.index


def _is_well(master: MasterView) -> bool:
    """Check whether a master serves and has stayed up: one that ends at each start serves for seconds in between."""
    return master.serves and master.facts is not None and not master.facts.server_unit.unsteady


def _comes_first(master: MasterView) -> bool:
    """Check whether a master joins, or is yet to be recorded: as the last one, that is back from its restart."""
    return master.has_yet_to_join or master.has_yet_to_be_recorded


def _others_unwell(context: ServingContext, turn: _Turn) -> Proposal | None:
    """Wait until all others are well: no vote is taken away while another one is missing."""
    others = [m for m in context.control_plane.masters if m.name != turn.view.name]
    why = _objection(context, turn, [m.name for m in others if not _is_well(m)])
    if why is None:
        return None
    wait = Wait(
        what=f"the control plane to settle before {turn.view.name} is restarted",
        because=why,
        deadline=_SETTLE_DEADLINE,
    )
    return Proposal(waits=(wait,))


def _objection(context: ServingContext, turn: _Turn, unwell: list[str]) -> str | None:
    if unwell:
        return f"not healthy: {', '.join(unwell)}"
    member = member_of(context, turn.view)
    if context.control_plane.on_database or member is None:
        return None
    verdict = quorum.can_restart(context.control_plane.members, healthy_ids(context), member.id)
    return None if verdict.ok else verdict.because


def _next(context: ServingContext, turn: _Turn, remedies: frozenset[Remedy]) -> PlannedStep | None:
    if Remedy.REPLACE in remedies and turn.view.serves:
        return replacing.of_master(context, turn.view, turn.server)
    release = staging.release_of(context, remedies)
    snapshot = _snapshot_before(release)
    if turn.view.serves and not (context.control_plane.on_database or _saved(context, snapshot)):
        saving = SaveSnapshot(target=snapshot, via=saver(context).id)
        return _planned(context, saving, "the masters are restarted one by one")
    if turn.view.serves and labelled_member(turn.server) and lookup.load_balancer(context.spec, context.view):
        because = "its API is away while k3s starts anew"
        return _planned(context, UnmarkMember(target=turn.view.name, server_id=turn.server.id), because)
    if Remedy.RESIZE in remedies and turn.view.serves:
        return replacing.resizing(context, turn.view, turn.server, Scope.CONTROL_PLANE)
    return _planned(context, _reconfigure(context, turn, release), _because(context, turn, release))


def _snapshot_before(release: str | None) -> str:
    """Name the snapshot of a rollout after the release that it brings: it is the only way back from that."""
    return replacing.SNAPSHOT if release is None else f"{replacing.SNAPSHOT}-{plain_name(release)}"


def _saved(context: ServingContext, name: str) -> bool:
    """Check whether a living master has a snapshot, not empty, that was saved under this name for this rollout.

    K3s puts the Node's name behind it, which parts it from one whose name goes on.
    """
    since = context.state.cluster_time - _SAVED_WITHIN
    masters = ((f"{name}-{m.name}-", m.facts) for m in context.control_plane.all_masters if m.facts is not None)
    found = (s for beginning, facts in masters for s in facts.snapshots if s.name.startswith(beginning))
    return any(s.size > 0 and s.created >= since for s in found)


def _reconfigure(context: ServingContext, turn: _Turn, release: str | None) -> ReconfigureMaster:
    others = [m.server for m in context.control_plane.masters if m.server and m.serves and m.name != turn.view.name]
    named = turn.facts.disk.config_server
    return ReconfigureMaster(
        target=turn.view.name,
        server_id=turn.server.id,
        via=others[0].id if others else turn.server.id,
        # Also where its etcd was silent: one that ends at each start is well for seconds in between.
        members=() if context.control_plane.on_database else members_precondition(context).ids,
        version=release,
        server_url=named if named or not others or context.control_plane.on_database else api_url(context, others[0]),
    )


def _because(context: ServingContext, turn: _Turn, release: str | None) -> str:
    """Say why it may go now."""
    if not turn.view.serves:
        return f"it is {turn.view.condition}, and does not run with what the file says now"
    others = len(context.control_plane.masters) - 1
    well = f"the {others} other masters are well" if others > 1 else "the other master is well"
    what = "the file says otherwise now" if release is None else f"it gets k3s {release}"
    return f"{what}{f', and {well}' if others else ''}"


def _planned(context: ServingContext, step: Step, because: str) -> PlannedStep:
    return selection.planned(context, step, because, Scope.CONTROL_PLANE)


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a master was started anew."""
    if not isinstance(step, ReconfigureMaster):
        return state
    model = next((f for m in state.view.servers if (f := state.facts(m.id)) is not None and f.voter), None)

    def anew(facts: HostFacts) -> HostFacts:
        etcd = facts.etcd if facts.voter or model is None or facts.on_database else _as_told(model, step.target)
        return replace(
            with_release(facts, step.version),
            server_unit=UnitFacts(active="active"),
            disk=as_the_file_says(spec, facts.disk),
            etcd=etcd,
        )

    back = predictions.with_facts(state, step.server_id, anew)
    return predictions.map_kube(back, lambda kube: predictions.with_ready_node(kube, step.target))


def _as_told(model: HostFacts, node: str) -> EtcdFacts:
    """Return the etcd of a member as another one's: it serves the same list."""
    own = next((m.id for m in model.etcd.members or () if m.node == node), None)
    return replace(model.etcd, member_id=own, active_peers=())


def with_release(facts: HostFacts, version: str | None) -> HostFacts:
    """Return what a host tells that was started with the release that lay ready."""
    return facts if version is None else replace(facts, k3s_version=version, staged=None)


def as_the_file_says(spec: ClusterSpec, disk: DiskFacts) -> DiskFacts:
    """Return a disk of which nothing is compared that could be otherwise."""
    s3 = settings_hash(settings(spec.etcd.s3)) if spec.etcd.s3 and disk.s3_hash is not None else disk.s3_hash
    return replace(disk, config=None, registries=None, s3_hash=s3)
