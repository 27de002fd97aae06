"""The request budget of a project: a token bucket (docs/facts/hetzner-api.md#rate-limit)."""

from __future__ import annotations

import math
from collections.abc import Callable


class Bucket:
    """A bucket of `limit` requests that refills in one hour.

    Args:
        limit: requests an hour; also the burst.
        now: gives UNIX seconds.
    """

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self.limit = limit
        self._now = now
        self._filled_at = now()
        self._tokens = float(limit)

    def take(self) -> bool:
        """Use one request; False when none is left."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def fill(self) -> None:
        """Give all requests back."""
        self._tokens = float(self.limit)

    def headers(self) -> dict[str, str]:
        """Return the three headers; Reset is the UNIX second when the bucket is full again."""
        self._refill()
        reset = self._filled_at + (self.limit - self._tokens) * 3600 / self.limit
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(int(self._tokens)),
            "RateLimit-Reset": str(math.ceil(reset)),
        }

    def _refill(self) -> None:
        now = self._now()
        passed = max(0.0, now - self._filled_at)
        self._tokens = min(float(self.limit), self._tokens + passed * self.limit / 3600)
        self._filled_at = now
