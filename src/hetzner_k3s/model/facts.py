"""What we know of the world: a value, a proven absence, or an ignorance with its reason.

docs/architecture.md#law-2: a read that failed is a fact about us, not about the world, so `Unknown` is never `Absent`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """A value that was read."""

    value: T


@dataclass(frozen=True, slots=True)
class Absent:
    """Something that is proven not to exist; `proof` is a sentence for the user."""

    proof: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A read that failed: `why` is a sentence, `since` the second (UNIX time) of the first failure."""

    why: str
    since: float = 0.0


Fact = Known[T] | Absent | Unknown
"""A three-valued fact: destructive steps and births may follow from `Known` and `Absent`, never from `Unknown`."""

Reading = Known[T] | Unknown
"""A fact that cannot be absent: a listing is complete or it is unknown."""
