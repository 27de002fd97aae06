"""Randomness from one seed, in independent streams."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """`ports.Rng` that repeats.

    Args:
        seed: the same seed gives the same draws, whatever PYTHONHASHSEED is.
        stream: names an independent sequence, so that one more draw here does not shift the draws elsewhere.
    """

    def __init__(self, seed: int, stream: str = "") -> None:
        self._seed, self._stream = seed, stream
        self._random = random.Random(f"{seed}/{stream}")

    def fork(self, stream: str) -> Chance:
        """Return an independent sequence of the same seed."""
        return Chance(self._seed, f"{self._stream}/{stream}")

    def token_hex(self, nbytes: int) -> str:
        """Give `nbytes` bytes as lower-case hexadecimal digits."""
        return self._random.randbytes(nbytes).hex()

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high]."""
        return self._random.uniform(low, high)

    def uuid(self) -> str:
        """Return a UUID."""
        digits = self.token_hex(16)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def choice(self, items: Sequence[T]) -> T:
        """Return one of some things."""
        return items[self._random.randrange(len(items))]

    def happens(self, probability: float) -> bool:
        """Throw a coin that shows heads with this probability."""
        return self._random.random() < probability
