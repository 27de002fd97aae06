"""Time and randomness of the machine."""

from __future__ import annotations

import random
import secrets
import time
from typing import Final

import anyio

_BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Linux counts a laptop's sleep in CLOCK_BOOTTIME only; other systems in CLOCK_MONOTONIC."""


class SystemClock:
    """`ports.Clock` of the machine."""

    def now(self) -> float:
        """Return the wall-clock time as UNIX seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never run backwards and count sleep."""
        return time.clock_gettime(_BOOT_CLOCK)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await anyio.sleep(seconds)


class SystemRng:
    """`ports.Rng` of the machine: unpredictable where it makes names and secrets."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def token_hex(self, nbytes: int) -> str:
        """Return random bytes as hexadecimal digits."""
        return secrets.token_hex(nbytes)

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high]."""
        return self._random.uniform(low, high)
