"""How requests are held back before Hetzner refuses them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.act.virtual_time import LoopClock, run

from hetzner_k3s.adapters.hetzner.allowance import Allowance


def _told(left: int, limit: int = 3600) -> dict[str, str]:
    return {"RateLimit-Limit": str(limit), "RateLimit-Remaining": str(left)}


async def _seconds(allowance: Allowance, *, patient: bool = False) -> float:
    began = asyncio.get_running_loop().time()
    async with allowance.turn(patient=patient):
        return asyncio.get_running_loop().time() - began


async def _after(status: int, headers: dict[str, str], *, patient: bool = False) -> float:
    """Return how long a request waits after an answer."""
    allowance = Allowance(LoopClock())
    async with allowance.turn(patient=False):
        allowance.note(status, headers)
    return await _seconds(allowance, patient=patient)


@pytest.mark.parametrize(
    ("status", "headers", "patient", "waits"),
    [
        (200, {}, True, 0),
        (200, _told(1), False, 0),
        (200, _told(0), False, 1),
        (200, _told(0, limit=100), False, 36),
        (200, _told(51), True, 0),
        (200, _told(50), True, 1),
        (200, _told(50), False, 0),
        (200, _told(10, limit=100), True, 36),
        (200, _told(11, limit=100), True, 0),
        (429, {}, False, 1),
        (429, _told(0), False, 1),
        (429, {**_told(0), "Retry-After": "7"}, False, 7),
        (429, {**_told(0, limit=100), "Retry-After": "7"}, False, 36),
        (429, {"Retry-After": "soon"}, False, 1),
        (200, {"RateLimit-Limit": "0", "RateLimit-Remaining": "0"}, False, 0),
        (200, {"RateLimit-Limit": "many", "RateLimit-Remaining": "-1"}, False, 0),
    ],
)
def test_a_request_waits_until_hetzner_takes_it(
    status: int, headers: dict[str, str], patient: bool, waits: float
) -> None:
    assert run(_after(status, headers, patient=patient)) == pytest.approx(waits, abs=0.01)


class _Impatient(LoopClock):
    """A clock on which nobody may sleep more than twice."""

    slept = 0

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        assert self.slept <= 2, f"sleeps for {seconds} s again and again"
        await super().sleep(seconds)


@given(at=st.floats(0, 10_000), limit=st.integers(100, 4_000), left=st.integers(0, 3))
@example(at=0.0, limit=142, left=0)
def test_what_rounding_leaves_of_a_wait_is_waited_for_once(at: float, limit: int, left: int) -> None:
    """Seen in a storm: 1e-14 s were left, no clock tells these from none, and the run went round for ever."""

    async def story() -> None:
        clock = _Impatient()
        await asyncio.sleep(at)
        allowance = Allowance(clock)
        async with allowance.turn(patient=False):
            allowance.note(200, _told(left, limit))
        await asyncio.sleep(1.0)
        async with allowance.turn(patient=False):
            pass

    run(story())


def test_of_many_at_once_no_more_go_than_are_left() -> None:
    async def story() -> list[float]:
        allowance = Allowance(LoopClock())
        async with allowance.turn(patient=False):
            allowance.note(200, _told(3))
        return sorted(await asyncio.gather(*(_seconds(allowance) for _ in range(5))))

    assert run(story()) == pytest.approx([0, 0, 0, 1, 2], abs=0.01)


def test_requests_under_way_are_not_taken_for_left() -> None:
    async def story() -> float:
        allowance = Allowance(LoopClock())
        async with allowance.turn(patient=False), allowance.turn(patient=False):
            allowance.note(200, _told(1))  # the other one may come there next
            return await _seconds(allowance)

    assert run(story()) == pytest.approx(1, abs=0.01)
