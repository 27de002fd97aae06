"""The snapshot that is saved before anything of a master is removed; it is named after the member that goes."""

from __future__ import annotations

from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.steps import SaveSnapshot


def saved_before(basis: Basis, member: Member) -> bool:
    """Tell whether a living master has a snapshot, not empty, that was saved for the removal of this member."""
    return saved_as(basis, _name(member))


def saved_as(basis: Basis, name: str) -> bool:
    """Tell whether any living master, wanted or not, has a snapshot of that name that is not empty."""
    facts = [m.facts for m in basis.plane.all_masters if m.facts is not None]
    return any(s.name.startswith(f"{name}-") and s.size > 0 for f in facts for s in f.snapshots)


def saving(basis: Basis, member: Member, master: str) -> PlannedStep:
    """Plan to save it on the healthy master that everything is done through."""
    return PlannedStep(
        step=SaveSnapshot(target=_name(member), via=basis.plane.seed_server.id),
        scope=Scope.CONTROL_PLANE,
        reason=Reason.LOST,
        because=f"the member of {master} will be removed",
    )


def _name(member: Member) -> str:
    return f"pre-repair-{member.id}"
