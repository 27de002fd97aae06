"""The words of a consent that does not fit; apart from `consents`, which imports the concerns that need them."""

from __future__ import annotations

from hetzner_k3s.model.plan import Refusal, Way


def unfit(flag: str, saw: str, you_can: str, *ways: Way) -> Refusal:
    """Make the refusal of a consent.

    Args:
        flag: as it was given, with its value.
        saw: what was seen instead of what the consent is for, as a sentence.
        you_can: what the user can do.
        ways: ways out that another refusal may forbid.
    """
    return Refusal(
        code="consent.unfit",
        saw=f"{flag} was given. {saw}",
        why="A consent is for one object in one state; what was seen is another one, so nothing was done.",
        you_can=you_can,
        ways=ways,
    )
