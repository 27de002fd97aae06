"""The words of a consent that does not fit; apart from `consents`, which imports the concerns that need them."""

from __future__ import annotations

from hetzner_k3s.model.consents import Consent
from hetzner_k3s.model.plan import Refusal, Way


def unfit(consent: Consent, saw: str, you_can: str, *ways: Way) -> Refusal:
    """Make the refusal of a consent.

    Args:
        consent: the one that was given.
        saw: what was seen instead of what the consent is for, as a sentence.
        you_can: what the user can do.
        ways: ways out that another refusal may forbid.
    """
    return Refusal(
        code="consent.unfit",
        saw=f"{consent} was given. {saw}",
        why="A consent is for one object in one state; what was seen is another one, so nothing was done.",
        you_can=you_can,
        ways=ways,
    )
