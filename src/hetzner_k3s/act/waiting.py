"""Waiting for facts and running effects side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from hetzner_k3s.model.errors import DeadlineExceeded
from hetzner_k3s.ports import Clock

T = TypeVar("T")


async def until(clock: Clock, look: Callable[[], Awaitable[T | None]], *, what: str, within: float, every: float) -> T:
    """Look again and again until there is something to see.

    Args:
        clock: the only source of time.
        look: gives the fact, or None while it is not there; what it raises ends the wait.
        what: the fact in words, for the error.
        within: seconds until `DeadlineExceeded`.
        every: seconds between two looks.

    Raises:
        DeadlineExceeded: the fact did not come in time.
    """
    ends = clock.monotonic() + within
    while (seen := await look()) is None:
        if clock.monotonic() >= ends:
            raise DeadlineExceeded(f"waited {within:.0f} s without success: {what}", hint="Run the command again.")
        await clock.sleep(every)
    return seen


async def together(*work: Coroutine[Any, Any, T]) -> list[T]:
    """Run coroutines side by side; the first failure cancels the rest and is raised as itself, not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part) for part in work]
    except BaseExceptionGroup as failures:
        raise _first(failures) from failures
    return [task.result() for task in tasks]


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
