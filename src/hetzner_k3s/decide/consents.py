"""A consent that does not fit what was seen is refused: the user had another cluster, or another moment, in mind."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.decide import ca_rotation, disaster, replacement, split
from hetzner_k3s.decide.basis import Basis
from hetzner_k3s.model.plan import Refusal

Check = Callable[[Basis], tuple[Refusal, ...]]

CHECKS: tuple[Check, ...] = (
    disaster.reset_fits,
    split.keeping_fits,
    replacement.replacement_fits,
    ca_rotation.acceptance_fits,
)
"""One a consent, from the concern that acts on it; each answers nothing where its consent is not given."""


def consents_fit(basis: Basis) -> tuple[Refusal, ...]:
    """Refuse each consent that does not fit the observation."""
    return tuple(refusal for check in CHECKS for refusal in check(basis))
