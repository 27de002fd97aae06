"""The snapshot that is saved before a member is removed; it is named after why, and after the member that goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hetzner_k3s.decide.view.context import DecisionContext, ServingContext
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.consents import Consent, Prune
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.steps import SaveSnapshot


@dataclass(frozen=True, slots=True)
class Occasion:
    """Why a member goes: how the names of its snapshots begin, the reason, and the consent that permits it."""

    prefix: str
    reason: Reason
    consent: Consent | None = None


REPAIR: Final = Occasion("pre-repair", Reason.LOST)
PRUNE: Final = Occasion("pre-prune", Reason.SHRINK, consent=Prune())


def saved_before(context: DecisionContext, member: Member, occasion: Occasion = REPAIR) -> bool:
    """Check whether any living master, wanted or not, has a snapshot, not empty, that was saved for this removal."""
    facts = [m.facts for m in context.control_plane.all_masters if m.facts is not None]
    return any(s.name.startswith(f"{_name(member, occasion)}-") and s.size > 0 for f in facts for s in f.snapshots)


def saving(context: ServingContext, member: Member, master: str, occasion: Occasion = REPAIR) -> PlannedStep:
    """Plan to save it on the healthy master that everything is done through, or on one whose k3s takes commands."""
    return PlannedStep(
        step=SaveSnapshot(target=_name(member, occasion), via=_saver(context).id),
        scope=Scope.CONTROL_PLANE,
        reason=occasion.reason,
        because=f"the member of {master} will be removed",
        consent=occasion.consent,
    )


def _saver(context: ServingContext) -> Server:
    """Choose the master that saves a snapshot; where none takes commands, k3s says why on the first one."""
    others = (m for m in context.control_plane.all_masters if m.serves)
    able = (m.server for m in (context.gateway, *others) if m.server and m.facts and m.facts.takes_commands)
    return next(able, context.gateway.server)


def _name(member: Member, occasion: Occasion) -> str:
    return f"{occasion.prefix}-{member.id}"
