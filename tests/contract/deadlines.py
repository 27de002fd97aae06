"""Waiting for something that happens a little later."""

from __future__ import annotations

import time
from collections.abc import Callable

_SECONDS = 5.0


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, and fail at the deadline."""
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
