"""`Replace`: a master that is there and not well is discarded with its user's consent, while quorum holds.

Its server is deleted by its id; what follows is the repair of any lost master. Before that, a snapshot is saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from hetzner_k3s.decide.repair.pre_repair_snapshot import saved_before, saving
from hetzner_k3s.decide.rollout import selection
from hetzner_k3s.decide.view import predictions, quorum
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext, context_of
from hetzner_k3s.decide.view.control_plane import MasterView
from hetzner_k3s.decide.view.voters import discarded, healthy_names, member_of, others_serve
from hetzner_k3s.model.consents import MakeAnew, Replace
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Intent, PlannedStep, Reason, Refusal, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import DeleteServer, Step


def replacement_fits(context: DecisionContext, consent: Replace) -> tuple[Refusal, ...]:
    """Refuse to discard what is no master, what is well, and what quorum needs; one that is gone needs no consent."""
    anew = context.consents.get(MakeAnew)
    if anew is not None and selection.make_anew_fits(context, anew):
        return ()  # the command `replace` gives both consents, and one refusal says what is the matter
    misfit = _misfit(context, consent.named)
    return () if misfit is None else (unfit(anew or consent, *misfit),)


def _misfit(context: DecisionContext, name: str) -> tuple[str, str] | None:
    master = context.control_plane.master(name)
    if context.control_plane.record.phase is not Phase.BORN:
        return "No cluster is recorded as initialized here.", "Run `create` without that flag."
    if master is None:
        return (
            f"The file has no master of that name; it has {', '.join(context.spec.master_names)}.",
            "Give one of these names.",
        )
    if master.serves and selection.made_anew(context) == name:
        return None  # it is led out as a voter
    if master.serves:
        well = "serves the cluster" if context.control_plane.on_database else "is a healthy voter"
        return f"{name} {well}.", "Run `create` without that flag."
    if master.server is not None and master.server.protected:
        return (
            f"{name} (id {master.server.id}) is protected against deletion at Hetzner.",
            "Lift the protection in the Hetzner console and run the command again, or leave the flag away.",
        )
    if master.trouble is None or others_serve(context, master):
        return None
    if context.control_plane.on_database:
        return (
            f"No other master serves the cluster: {healthy_names(context)}.",
            "Run `create` without it to see why none does.",
        )
    needed = quorum.majority(len(quorum.voters(context.control_plane.members)) or len(context.spec.masters))
    return (
        f"Without {name} fewer than {needed} healthy voters would be left: {healthy_names(context)}.",
        "Bring the other masters back first.",
    )


def discard(context: ServingContext) -> Proposal | None:
    """Save a snapshot, then delete the server of one master that may go; no proposal when none may."""
    name = min(discarded(context), default="")
    master = context.control_plane.master(name)
    if master is None or master.server is None:
        return None
    member = member_of(context, master)
    if member is not None and not saved_before(context, member):
        return Proposal((saving(context, member, name),))
    return Proposal((_deletion(master, name, master.server.id, context.control_plane.on_database),))


def _deletion(master: MasterView, name: str, server_id: int, on_database: bool) -> PlannedStep:
    left = "another one serves the cluster" if on_database else "a quorum of healthy voters is left without it"
    return PlannedStep(
        step=DeleteServer(target=name, server_id=server_id),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.LOST,
        because=f"it is {master.condition}, and {left}",
        consent=Replace(name),
    )


def bound(spec: ClusterSpec, state: ClusterState, intent: Intent) -> Intent:
    """Bind consents to what was seen when they were given: what is discarded then, and nothing that fails later."""
    intent, given = selection.bound(spec, state, intent), intent.consents.every(Replace)
    if not given:
        return intent
    names = discarded(context_of(spec, state, intent, frozenset()))
    return replace(intent, consents=intent.consents.without(*(r for r in given if r.named not in names)))


def spent(intent: Intent, steps: Iterable[PlannedStep]) -> Intent:
    """Take back the consents that steps have used: a master is discarded once."""
    used = [p.consent for p in steps if isinstance(p.step, DeleteServer) and isinstance(p.consent, Replace)]
    return replace(intent, consents=intent.consents.without(*used)) if used else intent


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like when a server is deleted: it is gone by its id too, and its peers notice."""
    if not isinstance(step, DeleteServer):
        return state
    gone = {step.server_id: Known(False)}
    hosts = {key: reading for key, reading in state.hosts.items() if key not in gone}
    kube = {key: reading for key, reading in state.kube.items() if key not in gone}
    left = replace(state, hosts=hosts, kube=kube, lookups={**state.lookups, **gone})
    ended = _members_of(state, step)
    return predictions.map_peers(left, lambda peers: tuple(peer for peer in peers if peer not in ended))


def _members_of(state: ClusterState, step: DeleteServer) -> frozenset[str]:
    """Return the ids of the etcd member that goes with a server: as its host tells it, else as others list it."""
    own = state.facts(step.server_id)
    if own is not None:
        return frozenset({own.etcd.member_id} if own.etcd.member_id else ())
    known = (reading.value for reading in state.hosts.values() if isinstance(reading, Known))
    return frozenset(m.id for facts in known for m in facts.etcd.members or () if m.node == step.target)
