"""A consent that does not fit what was seen is refused: the user had another cluster, or another moment, in mind."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.decide.disaster import quorum_reset, split_brain
from hetzner_k3s.decide.identity import ca_rotation
from hetzner_k3s.decide.lifecycle import external_database
from hetzner_k3s.decide.repair import replace
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.plan import Refusal

Check = Callable[[DecisionContext], tuple[Refusal, ...]]

CHECKS: tuple[Check, ...] = (
    quorum_reset.reset_fits,
    split_brain.keeping_fits,
    replace.replacement_fits,
    ca_rotation.acceptance_fits,
)
"""One a consent, from the concern that acts on it; each answers nothing where its consent is not given."""


ON_DATABASE_CHECKS: tuple[Check, ...] = (
    external_database.consents_fit_a_database,
    replace.replacement_fits,
    ca_rotation.acceptance_fits,
)
"""The same where the cluster's data lies outside its masters."""


def consents_fit(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse each consent that does not fit the observation."""
    checks = ON_DATABASE_CHECKS if context.control_plane.on_database else CHECKS
    return tuple(refusal for check in checks for refusal in check(context))
