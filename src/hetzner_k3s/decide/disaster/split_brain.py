"""Two clusters where there should be one, and `Keep`: the side that goes is stopped, copied off and moved aside.

Sides are told apart by CA, kube-system UID, lineage and, where all of those are equal, by who leads (after a quorum
reset in a partition: docs/facts/k3s.md#lineage). Nothing is wiped; afterwards the fenced hosts join the side that
stays.
"""

from __future__ import annotations

from hetzner_k3s.decide.disaster.quarantine import fence, hold, is_rescued
from hetzner_k3s.decide.view import quorum
from hetzner_k3s.decide.view.consent_mismatch import unfit
from hetzner_k3s.decide.view.context import DecisionContext, Proposal
from hetzner_k3s.decide.view.node_machine import whereabouts
from hetzner_k3s.decide.view.servers.membership import labelled_member
from hetzner_k3s.decide.view.sides import Side, Survivor, digits, how_to_keep, is_of_its_ca, is_recorded, leads, sides
from hetzner_k3s.model.consents import Keep
from hetzner_k3s.model.plan import PlannedStep, Reason, Refusal, Scope, Way
from hetzner_k3s.model.steps import FetchDatabase, Step


def past_members(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse while a master that had joined holds data that the living cluster does not know any more.

    After a quorum reset by hand it is the cluster's past; which of the two is right, only the user knows. Where most of
    the masters that the file wants live, there can be no other cluster: then it is merely a former member.
    """
    found = sides(context)
    living = [side for side in found if side.lives]
    formers = [m for side in found if not side.lives for m in side.masters if _was_member(m, living)]
    enough = any(len(side.masters) >= quorum.majority(len(context.spec.masters)) for side in living)
    if not formers or enough or context.control_plane.gateway is None:
        return ()
    names = ", ".join(f"{m.name} ({whereabouts(m.server)})" for m in formers)
    past_names = frozenset(m.name for m in formers)
    return (
        Refusal(
            code="master.former",
            saw=f"Of {names} it is recorded that it joined; it holds data, and the cluster that lives on "
            f"{living[0].names} does not list it as a member.",
            why="The cluster was reset without it, or it was removed: with others of its kind it could live again "
            "beside the cluster. It is counted nowhere and handed nothing.",
            you_can="Look which side has your data.",
            ways=(*how_to_keep(context), Way(text="Or delete its server at Hetzner.", deletes=past_names)),
            rests=past_names,
        ),
    )


def _was_member(master: Survivor, living: list[Side]) -> bool:
    same = any(is_of_its_ca(side, master) for side in living)
    return same and labelled_member(master.server) and not master.facts.held


def _kept(context: DecisionContext, keep: Keep) -> Side | None:
    """Return the side that the user named, None where the digits name none, or more than one."""
    named = [side for side in sides(context) if keep.named in side.digits]
    return named[0] if len(named) == 1 and named[0].lives else None


def is_fencing(context: DecisionContext) -> bool:
    """Check whether a side was named, may be kept, and another one has to be fenced."""
    keep = context.consents.get(Keep)
    kept = _kept(context, keep) if keep is not None else None
    return kept is not None and len(sides(context)) > 1 and is_recorded(kept, context.control_plane.record)


def keeping_fits(context: DecisionContext, keep: Keep) -> tuple[Refusal, ...]:
    """Refuse the consent where its digits name no living side, several, or one that the birth record does not know."""
    kept, found = _kept(context, keep), sides(context)
    told = "; ".join(f"{digits(s, found) or 'nothing of its own'}: {s.names}" for s in found) or "no master answers"
    if kept is None:
        saw = f"Those digits do not name exactly one cluster that lives. What was seen: {told}."
        return (unfit(keep, saw, "Run `create` without that option: it shows the digits of each side."),)
    if not is_recorded(kept, context.control_plane.record):
        saw = f"They name the cluster of {kept.names}, and the birth record knows another one."
        others = frozenset(m.name for side in found if side != kept for m in side.masters)
        way = Way(text="Or delete the servers of that one at Hetzner first.", deletes=others)
        can = "Keep the side that the birth record names." if others else "Run `create` without that option."
        return (unfit(keep, saw, can, *((way,) if others else ())),)
    return ()


def fence_other_side(context: DecisionContext) -> Proposal | None:
    """Stop, copy off and fence every master that is not of the side that is kept."""
    keep = context.consents.get(Keep)
    if keep is None or not is_fencing(context):
        return None
    kept = _kept(context, keep)
    others = [m for side in sides(context) if side != kept for m in side.masters]
    running = sorted((m for m in others if not m.facts.held), key=leads)
    # One at a time, the leader last: who follows whom is held against what was seen, and changes with each that stops.
    turn = [*running[:1], *(m for m in others if m.facts.held)]
    return Proposal(tuple(step for master in turn for step in _next(context, master, keep)), alone=True)


def _next(context: DecisionContext, master: Survivor, keep: Keep) -> tuple[PlannedStep, ...]:
    step: Step
    if not master.facts.held:
        step, because = hold(master), "it is of the side that was not kept"
    elif master.facts.log is not None and not is_rescued(context, master):
        step = FetchDatabase(target=master.name, server_id=master.server.id, log=master.facts.log)
        because = "it may hold what the other side does not, so a copy is kept"
    else:
        step, because = fence(master), "it must never serve as that cluster again; its data stays on its disk"
    planned = PlannedStep(step=step, scope=Scope.CONTROL_PLANE, reason=Reason.LOST, because=because, consent=keep)
    return (planned,)
