"""The snapshot that is saved before a member is removed; it is named after why, and after what goes.

That is the member, or its server where that goes with it: what id a master gets that joins anew first, only etcd knows.
"""

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


def saved_before(
    context: DecisionContext, going: Member | Server, occasion: Occasion = REPAIR, *, leaving: str = ""
) -> bool:
    """Check whether any living master, wanted or not, has a snapshot, not empty, that was saved for this removal.

    One on the master that is `leaving` would go with it.
    """
    facts = [m.facts for m in context.control_plane.all_masters if m.facts is not None and m.name != leaving]
    return any(s.name.startswith(f"{_name(going, occasion)}-") and s.size > 0 for f in facts for s in f.snapshots)


def saving(
    context: ServingContext, going: Member | Server, master: str, occasion: Occasion = REPAIR, *, leaving: str = ""
) -> PlannedStep:
    """Plan to save it, on another master than the one that is `leaving`."""
    return PlannedStep(
        step=SaveSnapshot(target=_name(going, occasion), via=saver(context, leaving).id),
        scope=Scope.CONTROL_PLANE,
        reason=occasion.reason,
        because=f"the member of {master} will be removed",
        consent=occasion.consent,
    )


def saver(context: ServingContext, leaving: str = "") -> Server:
    """Choose the master that saves a snapshot: the one that everything is done through, if its k3s takes commands.

    Where none takes commands, k3s says why on the first one.
    """
    masters = (context.gateway, *(m for m in context.control_plane.all_masters if m.serves))
    staying = [(m.server, m.facts) for m in masters if m.server and m.facts and m.name != leaving]
    able = (server for server, facts in staying if facts.takes_commands)
    return next(able, staying[0][0] if staying else context.gateway.server)


def _name(going: Member | Server, occasion: Occasion) -> str:
    return f"{occasion.prefix}-{going.id}"
