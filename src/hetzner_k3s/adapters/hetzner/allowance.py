"""How many requests Hetzner still takes: a bucket that refills steadily, shared with whoever else uses the project.

See docs/facts/hetzner-api.md#rate-limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from hetzner_k3s.ports import Clock

TOO_MANY: Final = 429
_HOUR: Final = 3600.0
_RESERVE_SHARE: Final = 0.1
RESERVE_MOST: Final = 50
"""Requests that are left to repairs: no more than a tenth of the bucket; a repair takes twenty."""

_LEAST_PAUSE: Final = 0.001
"""Seconds: rounding leaves waits so short that a clock shows the same time after them."""


class Allowance:
    """The requests of a project that are left, as its last answer told, less what was asked since."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limit: float | None = None
        self._left = 0.0
        self._at = 0.0
        self._under_way = 0
        self._not_before = float("-inf")

    @asynccontextmanager
    async def turn(self, *, patient: bool) -> AsyncIterator[None]:
        """Wait until a request may be sent, and count it while it is under way.

        Args:
            patient: leaves the reserve to others.
        """
        while (pause := self._pause(patient=patient)) > 0:
            await self._clock.sleep(max(pause, _LEAST_PAUSE))
        self._left -= 1
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """Learn from the answer to a request under way; others may not have been counted there yet.

        One that refuses for too many requests says that none is left.
        """
        limit, left = _number(headers.get("RateLimit-Limit")), _number(headers.get("RateLimit-Remaining"))
        if limit and left is not None:
            self._limit, self._left, self._at = limit, left - (self._under_way - 1), self._clock.monotonic()
        if status == TOO_MANY:
            self._left, self._at = 0.0, self._clock.monotonic()
            self._not_before = self._at + (_number(headers.get("Retry-After")) or self._refill(1.0))

    def _pause(self, *, patient: bool) -> float:
        """Return the seconds until a request may be sent."""
        refused = self._not_before - self._clock.monotonic()
        if self._limit is None:
            return refused
        reserve = min(RESERVE_MOST, self._limit * _RESERVE_SHARE) if patient else 0.0
        return max(refused, self._refill(reserve + 1.0 - self._now()))

    def _now(self) -> float:
        """Return how many are left by now."""
        limit = self._limit or 0.0
        return min(limit, self._left + (self._clock.monotonic() - self._at) * limit / _HOUR)

    def _refill(self, requests: float) -> float:
        """Return the seconds in which so many come back."""
        return requests * _HOUR / (self._limit or _HOUR)


def _number(text: str | None) -> float | None:
    """Read what a header says, None where it is no whole number."""
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else None
