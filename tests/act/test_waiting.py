"""Every wait has a deadline, and says what it waited for (docs/architecture.md#law-9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hetzner_k3s.act.waiting import together, until
from hetzner_k3s.model.errors import CloudUnavailable, DeadlineExceeded, Fate

from .virtual_time import LoopClock, run

_LONGER_THAN_ANY_WAIT = 1_000.0


def _wait(look: Callable[[], Awaitable[str | None]]) -> tuple[str, float]:
    """Wait 30 s for what `look` gives; give that and the seconds it took."""

    async def wait() -> tuple[str, float]:
        clock = LoopClock()
        began = clock.monotonic()
        waiting = until(clock, look, what="the moon is not up", within=30, every=4)
        seen = await asyncio.wait_for(waiting, _LONGER_THAN_ANY_WAIT)
        return seen, clock.monotonic() - began

    return run(wait())


def test_what_never_comes_ends_the_wait_with_its_name() -> None:
    async def never() -> str | None:
        return None

    with pytest.raises(DeadlineExceeded, match="waited 30 s without success: the moon is not up"):
        _wait(never)


def test_what_comes_is_given_at_once() -> None:
    looks = iter([None, None, "the moon"])

    async def third_time() -> str | None:
        return next(looks)

    assert _wait(third_time) == ("the moon", 8)


def test_work_side_by_side_fails_as_its_first_failure() -> None:
    async def fails() -> None:
        raise CloudUnavailable("gone", code="gone", fate=Fate.DID_NOT_HAPPEN)

    async def goes_on() -> None:
        await asyncio.sleep(1_000)

    async def both() -> None:
        await together(goes_on(), together(goes_on(), fails()))

    with pytest.raises(CloudUnavailable, match="gone"):
        run(both())
