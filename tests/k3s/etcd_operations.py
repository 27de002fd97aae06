"""What can happen to a handful of etcd members, and what is asked of both the model and a real etcd afterwards.

Members are told apart by their slot (1 to 5): each slot has one peer address, as a server has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

SLOTS: Final = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that happens: `what` to the member of `slot`, through the member of `via` where somebody is asked."""

    what: str
    slot: int
    via: int = 0

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.what} {self.slot}" + (f" through {self.via}" if self.via else "")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a running member tells by itself: whether it knows a leader, keys, revision, member list, living peers.

    `members` maps slot to "voter" or "learner", with a "?" for one that never started. A learner tells no list, and
    what it says of a leader does not count: it goes on naming one that has stepped down.
    """

    led: bool
    keys: Mapping[str, str]
    revision: int
    members: Mapping[int, str]
    connected: frozenset[int]


@dataclass(frozen=True, slots=True)
class Picture:
    """All members that run, by slot; one that etcd ended by itself is not among them, one that is silent tells None.

    A member answers nobody before it has told a leader its name, so one that starts without a quorum is silent.
    """

    running: Mapping[int, Seen | None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an operation went: "ok" or the class of its refusal; and what the members came to."""

    answer: str
    picture: Picture


class World(Protocol):
    """Members on which operations are carried out."""

    async def carry_out(self, operation: Operation) -> str:
        """Carry an operation out; give "ok" or the class of its refusal."""
        ...

    async def picture(self) -> Picture:
        """Look at all members."""
        ...


REFUSALS: Final[tuple[str, ...]] = (
    "unhealthy cluster",
    "too many learner members",
    "not enough started members",
    "in sync with leader",
    "member not found",
    "Peer URLs already exists",
    "can only promote a learner member",
)


def refusal(message: str) -> str:
    """Give the class of etcd's refusal."""
    # "can only promote a learner member which is in sync with leader" has the words of two classes.
    found = next((text for text in REFUSALS if text in message), None)
    return found or f"other: {message}"
