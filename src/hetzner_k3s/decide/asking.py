"""How a plan comes about: the rules of a program are asked, its gates before its moves.

All gates are evaluated, and any refusal stops every scope: no server is bought, no worker deleted beside a control
plane that we do not understand. Only first aid, which needs no host and loses nothing, is held by nothing but what
speaks against it. Then come the moves: of those of the control plane the first with a proposal decides, the others are
scopes of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic

from hetzner_k3s.decide.concurrency import startable
from hetzner_k3s.decide.view.context import DecisionContext, GateOf, Given_contra, MoveOf, Note, Proposal
from hetzner_k3s.model.difference import Difference
from hetzner_k3s.model.plan import Plan, PlannedStep, Refusal, agreeing


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a verb does in every situation.

    Args:
        aid: is done although something is refused.
        notes: are said beside the steps.
        degraded: say what is not well and is left as it is.
        differences: says where the world is not as the file says.
    """

    aid: Callable[[DecisionContext], tuple[PlannedStep, ...]] | None = None
    notes: tuple[Note, ...] = ()
    degraded: tuple[Note, ...] = ()
    differences: Callable[[DecisionContext], tuple[Difference, ...]] | None = None

    def told(self, context: DecisionContext) -> Plan:
        """Return a plan without steps that says what is said beside them."""
        return Plan(
            notes=tuple(told for note in self.notes for told in note(context)),
            degraded=tuple(told for note in self.degraded for told in note(context)),
            differences=self.differences(context) if self.differences is not None else (),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Program(Generic[Given_contra]):
    """What a verb does in a situation.

    Args:
        given: the context that its rules take: where a healthy master serves, one that has it.
        gates: all are asked; one refusal stops every scope.
        before_all: moves beside which nothing else is planned.
        control_plane: moves of which the first with a proposal decides.
        moves: scopes of their own.
        before_the_end: gates that are asked where nothing is left to do or to wait for.
    """

    given: type[Given_contra]
    gates: tuple[GateOf[Given_contra], ...]
    before_all: tuple[MoveOf[Given_contra], ...] = ()
    control_plane: tuple[MoveOf[Given_contra], ...] = ()
    moves: tuple[MoveOf[Given_contra], ...] = ()
    before_the_end: tuple[GateOf[Given_contra], ...] = ()

    def next(self, seen: DecisionContext, wish: Wish) -> Plan:
        """Ask the rules what may be started now.

        Raises:
            TypeError: the situation is not that of what was seen.
        """
        if not isinstance(seen, self.given):
            raise TypeError(f"a program for {self.given.__name__} was given {type(seen).__name__}")
        if refusals := _refusals(seen, self.gates):
            aid = wish.aid(seen) if wish.aid is not None else ()
            return Plan(steps=startable(aid, seen.in_flight), refusals=refusals)
        proposals = self._proposals(seen)
        steps = startable((step for proposal in proposals for step in proposal.steps), seen.in_flight)
        waits = tuple(wait for proposal in proposals for wait in proposal.waits)
        last = () if steps or waits or seen.in_flight else self.before_the_end
        return Plan(steps=steps, waits=waits, refusals=_refusals(seen, last))

    def _proposals(self, context: Given_contra) -> tuple[Proposal, ...]:
        if before_all := _heard(context, self.before_all):
            return before_all
        asked = (move(context) for move in self.control_plane)
        first = next((proposal for proposal in asked if proposal is not None), Proposal())
        return (first,) if first.alone else (*_heard(context, self.moves), first)


def _refusals(context: Given_contra, gates: tuple[GateOf[Given_contra], ...]) -> tuple[Refusal, ...]:
    return agreeing(tuple(refusal for gate in gates for refusal in gate(context)))


def _heard(context: Given_contra, moves: tuple[MoveOf[Given_contra], ...]) -> tuple[Proposal, ...]:
    return tuple(proposal for move in moves if (proposal := move(context)) is not None)
