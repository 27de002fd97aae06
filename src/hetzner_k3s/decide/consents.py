"""A consent that does not fit what was seen is refused: the user had another cluster, or another moment, in mind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from hetzner_k3s.decide.adopt import adoption
from hetzner_k3s.decide.disaster import abandon, quorum_reset, restore, split_brain
from hetzner_k3s.decide.identity import ca_rotation
from hetzner_k3s.decide.lifecycle import external_database
from hetzner_k3s.decide.repair import replace
from hetzner_k3s.decide.rollout import selection as rollout
from hetzner_k3s.decide.rollout import surge
from hetzner_k3s.decide.view.context import DecisionContext, Gate
from hetzner_k3s.model.consents import (
    AcceptCa,
    Adopt,
    Consent,
    Keep,
    MakeAnew,
    NewClusterOver,
    Replace,
    ResetQuorumFrom,
    Restore,
    Rollout,
    Surge,
    Upgrade,
)
from hetzner_k3s.model.plan import Refusal

_Kind = TypeVar("_Kind", bound=Consent)


@dataclass(frozen=True, slots=True)
class Fits(Generic[_Kind]):
    """The gate of a kind of consent: `asked` is the concern that acts on it, and is asked for each that was given."""

    kind: type[_Kind]
    asked: Callable[[DecisionContext, _Kind], tuple[Refusal, ...]]

    def __call__(self, context: DecisionContext) -> tuple[Refusal, ...]:
        """Refuse each consent of this kind that does not fit the observation."""
        return tuple(refusal for given in context.consents.every(self.kind) for refusal in self.asked(context, given))


RESTORING: Gate = Fits(Restore, restore.restoring_fits)
GIVING_UP: Gate = Fits(NewClusterOver, abandon.giving_up_fits)
ROLLING_OUT: tuple[Gate, ...] = (
    Fits(Rollout, rollout.rollout_fits),
    Fits(Upgrade, rollout.upgrade_fits),
    Fits(MakeAnew, rollout.make_anew_fits),
    Fits(Surge, surge.surge_fits),
)
CHECKS: tuple[Gate, ...] = (
    Fits(ResetQuorumFrom, quorum_reset.reset_fits),
    Fits(Keep, split_brain.keeping_fits),
    Fits(Replace, replace.replacement_fits),
    Fits(AcceptCa, ca_rotation.acceptance_fits),
    *ROLLING_OUT,
    Fits(Adopt, adoption.adoption_fits),
)


ON_DATABASE_CHECKS: tuple[Gate, ...] = (
    external_database.consents_fit_a_database,
    Fits(Replace, replace.replacement_fits),
    Fits(AcceptCa, ca_rotation.acceptance_fits),
    *ROLLING_OUT,
    Fits(Adopt, adoption.adoption_fits),
)
"""The same where the cluster's data lies outside its masters."""


def consents_fit(context: DecisionContext) -> tuple[Refusal, ...]:
    """Refuse each consent that does not fit the observation."""
    checks = ON_DATABASE_CHECKS if context.control_plane.on_database else CHECKS
    return tuple(refusal for check in checks for refusal in check(context))
