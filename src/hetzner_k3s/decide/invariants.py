"""What no emitted plan may hold, asked of raw facts after every plan: a second opinion on the rules, in production.

As Patroni's `check_invariants`: a rule that is wrong must end a run, not a cluster. See docs/architecture.md#law-5.
"""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.decide.view.quorum import majority
from hetzner_k3s.model import naming
from hetzner_k3s.model.consents import WithVolumes
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, Member
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import Plan, PlannedStep, StepKey, Verb
from hetzner_k3s.model.steps import (
    DeleteResource,
    DeleteServer,
    ForgetBirth,
    InitControlPlane,
    ReconfigureMaster,
    RemoveMember,
    ResetQuorum,
    RestoreSnapshot,
    RetireMember,
    Step,
)
from hetzner_k3s.model.steps.traits import TRAITS


class InvariantBroken(RuntimeError):
    """A rule of ours is wrong: the plan is not carried out, and the run ends with exit code 70."""


def check(context: DecisionContext, plan: Plan) -> None:
    """Check what a plan would do to quorum and data.

    Raises:
        InvariantBroken: it would break one of the laws.
    """
    broken = [*_of_all(context, plan), *(why for planned in plan.steps for why in _of_step(context, planned.step))]
    if broken:
        raise InvariantBroken("; ".join(broken))


def _of_all(context: DecisionContext, plan: Plan) -> Iterator[str]:
    if plan.steps and not isinstance(context.state.cloud, Known):
        yield "a step is planned although nothing is listed"
    disruptive = [key for key in _keys(context, plan.steps) if TRAITS[key.kind].disruptive]
    alike = len({key.kind for key in disruptive}) == 1 and all(TRAITS[key.kind].alike for key in disruptive)
    if len(disruptive) > 1 and not alike:
        yield f"at once: {', '.join(sorted(map(str, disruptive)))}"
    for planned in plan.steps:
        if planned.consent is not None and planned.consent not in context.consents:
            yield f"{planned.key}: nobody gave {planned.consent}"


def _keys(context: DecisionContext, steps: tuple[PlannedStep, ...]) -> tuple[StepKey, ...]:
    return (*context.in_flight, *(planned.key for planned in steps))


def _of_step(context: DecisionContext, step: Step) -> Iterator[str]:
    yield from (f"{type(step).__name__} {step.target}: {why}" for why in _wrong(context, step))


def _wrong(context: DecisionContext, step: Step) -> Iterator[str]:
    match step:
        case RemoveMember() | RetireMember():
            yield from _removal(context, step)
        case ReconfigureMaster():
            yield from _restart(context, step)
        case InitControlPlane():
            yield from _initialization(context, step)
        case ForgetBirth() | RestoreSnapshot() | ResetQuorum():
            yield from _nobody_votes(context)
        case DeleteServer():
            yield from _deletion(context, step)
        case DeleteResource(kind="volume"):
            yield from _loss_of_data(context, step)


def _removal(context: DecisionContext, step: RemoveMember | RetireMember) -> Iterator[str]:
    """Return what is wrong with a removal: quorum must hold for those who are left, counted by who votes now."""
    gateway = context.state.facts(step.via)
    voters = [m for m in (gateway.etcd.members or () if gateway else ()) if not m.learner]
    left = [m for m in voters if m.id != step.member_id]
    healthy = _voting(context)
    if any(m.id == step.member_id for m in voters) and not _holds(left, healthy):
        yield f"{sum(m.id in healthy for m in left)} of {len(left)} voters that would be left are healthy"


def _restart(context: DecisionContext, step: ReconfigureMaster) -> Iterator[str]:
    """Return what is wrong with a restart: all others have to vote meanwhile, wherever there are members."""
    gateway = context.control_plane.gateway
    facts = context.state.facts(step.server_id)
    own = facts.etcd.member_id if facts is not None else None
    listed = {m.id: m for m in (gateway.facts.etcd.members or () if gateway else ())}
    missing = sorted(m.name for m in listed.values() if m.id not in _voting(context) | {own} and m.node != step.target)
    if missing:
        yield f"these members do not vote beside it: {', '.join(missing)}"


def _holds(left: list[Member], healthy: frozenset[str | None]) -> bool:
    return bool(left) and sum(member.id in healthy for member in left) >= majority(len(left))


def _initialization(context: DecisionContext, step: InitControlPlane) -> Iterator[str]:
    """Return what is wrong with an initialization; one that was cut off is gone on with, and may vote by then."""
    if context.control_plane.record.phase is Phase.BORN:
        yield "the cluster is recorded as initialized"
    hosts = context.state.hosts.items()
    if any(isinstance(told, Known) and told.value.voter for server_id, told in hosts if server_id != step.server_id):
        yield "another master votes"


def _nobody_votes(context: DecisionContext) -> Iterator[str]:
    if any(facts.voter for facts in _told(context)):
        yield "a master votes"


def _deletion(context: DecisionContext, step: DeleteServer) -> Iterator[str]:
    """Say what is wrong with a deletion: a member that goes with its server is listed on, so the others need quorum."""
    if context.intent.verb is Verb.DELETE:
        return
    facts = context.state.facts(step.server_id)
    member = facts.etcd.member_id if facts is not None else None
    voters = {m.id for m in context.control_plane.members if not m.learner}
    if member not in voters:
        return
    others = len((voters - {member}) & _voting(context))
    if others < majority(len(voters)):
        yield f"its member is listed, and {others} of {len(voters)} voters would be left"


def _loss_of_data(context: DecisionContext, step: DeleteResource) -> Iterator[str]:
    """Say what is wrong with the deletion of a volume: permitted, marked as this cluster's, at no server."""
    belongings, uid = context.view.belongings, context.control_plane.record.uid
    volume = next((v for v in belongings.volumes if v.id == step.resource_id), None) if belongings else None
    if WithVolumes() not in context.consents:
        yield "nobody permitted that volumes go"
    if volume is None:
        yield "it is not listed"
    elif uid is None or volume.labels.get(naming.LABEL_GOES_WITH) != uid:
        yield "it is not marked as this cluster's"
    elif any(volume.server == server.id for server in context.view.servers):
        yield "a server has it"


def _told(context: DecisionContext) -> Iterator[HostFacts]:
    return (reading.value for reading in context.state.hosts.values() if isinstance(reading, Known))


def _voting(context: DecisionContext) -> frozenset[str | None]:
    return frozenset(facts.etcd.member_id for facts in _told(context) if facts.voter)
