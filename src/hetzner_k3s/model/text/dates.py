"""Times that may be no dates: what comes from outside can hold any number of seconds, and any text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_DATES: Final = 6e10
"""Seconds from 1970 within which every time is a date of at most four digits."""


def date_of(seconds: float) -> datetime | None:
    """Return UNIX seconds as a date of UTC; None where they are too many, or no number."""
    return datetime.fromtimestamp(seconds, UTC) if abs(seconds) < _DATES else None


def moment_of(text: str) -> float | None:
    """Return the UNIX seconds of a moment that is written as RFC 3339 has it; None where it is none."""
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
