"""A consent that does not fit what was seen is refused: the user had another cluster, or another moment, in mind."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.model.plan import Refusal

Check = Callable[[Basis], tuple[Refusal, ...]]

CHECKS: tuple[Check, ...] = ()
"""One a consent, from the concern that acts on it; each answers nothing where its consent is not given."""


def consents_fit(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse each consent that does not fit the observation."""
    return tuple(refusal for check in CHECKS for refusal in check(basis))


def unfit(flag: str, saw: str, you_can: str) -> Refusal:
    """Make the refusal of a consent.

    Args:
        flag: as it was given, with its value.
        saw: what was seen instead of what the consent is for, as a sentence.
        you_can: what the user can do.
    """
    return Refusal(
        code="consent.unfit",
        saw=f"{flag} was given. {saw}",
        why="A consent is for one object in one state; what was seen is another one, so nothing was done.",
        you_can=you_can,
    )
