"""The cluster's lineage: one, known to all that carry it, and adopted after a reset or a restore."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.view import sides, stale_lineage
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.predictions import PREDICTED_LINEAGE, map_kube, map_servers, with_shared_record
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import AdoptLineage, Step


def one_lineage(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse when the cluster's own ConfigMap names another lineage than the labels do, and no reset explains it."""
    kube, record = context.control_plane.kube, context.control_plane.record
    if kube is None or kube.lineage is None or record.lineage in {None, kube.lineage}:
        return ()
    if isinstance(context, ServingContext) and _adopted(context) is not None:
        return ()
    return (
        Refusal(
            code="identity.lineage",
            saw=f"The cluster says it is of lineage {kube.lineage}, its servers' labels say {record.lineage}.",
            why="It was reset or restored by hand, what answers is a cluster's own past, or somebody wrote over its "
            "note of that.",
            you_can="If masters were reset or restored by hand, power off those of the older lineage. If what answers "
            "has your data (a backup of kube-system that is put back brings an old note along), correct the note: "
            f"`kubectl -n kube-system edit configmap hetzner-k3s`, lineage: {record.lineage}. Then run `create` again.",
        ),
    )


def masters_of_one_lineage(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while a master holds data of another lineage than the recorded one: it is the past, and must not vote."""
    record, gateway = context.control_plane.record, context.control_plane.gateway
    seen = gateway.facts if gateway is not None else None
    strangers = [
        (m.name, m.server, stale_lineage.lineage_of(m.facts, m.server) or "")
        for m in context.control_plane.masters
        if m.server and m.facts and m.facts.disk.wal and not stale_lineage.belongs(m.facts, m.server, record)
        if not stale_lineage.has_joined(m.facts, m.server, seen, context.control_plane.internal_ips)
    ]
    return tuple(
        Refusal(
            code="master.past",
            saw=f"Master {name} ({whereabouts(server)}) holds data of lineage {lineage}; the cluster is of lineage "
            f"{record.lineage}.",
            why="It is of the cluster's past, before a quorum reset or a restore: it is counted nowhere and handed "
            "nothing. With others of its kind it could live again beside the cluster.",
            you_can="Look whether its data is still needed.",
            ways=(
                *sides.how_to_keep(context),
                Way(text="If its data may go, delete the server at Hetzner.", deletes=frozenset({name})),
            ),
            rests=frozenset({name}),
        )
        for name, server, lineage in strangers
    )


def adopt_lineage(context: ServingContext) -> Proposal | None:
    """Write the lineage of a cluster that was reset or restored into its record, labels and ConfigMap."""
    record = _adopted(context)
    if record is None:
        return None
    gateway = context.gateway.server
    planned = PlannedStep(
        step=AdoptLineage(target=context.spec.name, record=record, via=gateway.id),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.UNFINISHED,
        because=f"{gateway.name} began {_called(record.lineage)}, and not everything says so yet",
    )
    return Proposal((planned,))


def _called(lineage: str | None) -> str:
    """Name a lineage; one that a restore or reset has yet to draw has no number to show."""
    return "a new lineage" if lineage == PREDICTED_LINEAGE else f"lineage {lineage}"


def _adopted(context: ServingContext) -> BirthRecord | None:
    """Return the record as it is to be written, None where nothing is to be adopted."""
    record, gateway, kube = context.control_plane.record, context.gateway, context.control_plane.kube
    if gateway.facts.lineage is None:
        return None
    if stale_lineage.began_anew(gateway.facts, record):
        return replace(record, lineage=gateway.facts.lineage, parent=record.lineage)
    stale = kube is not None and kube.lineage is not None and kube.lineage == record.parent
    return record if stale and gateway.facts.lineage == record.lineage else None


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a lineage was adopted."""
    if not isinstance(step, AdoptLineage):
        return state
    labels = step.record.labels()
    told = map_servers(
        with_shared_record(spec, state, step.record),
        lambda s: replace(s, labels={**s.labels, **labels}) if s.id == step.via else s,
    )
    return map_kube(told, lambda kube: replace(kube, lineage=step.record.lineage))
