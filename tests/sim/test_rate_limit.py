"""What Hetzner's request limit does to a run: it waits, and is hardly ever refused.

See docs/facts/hetzner-api.md#rate-limit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from hetzner_k3s.lab.cloud.requests.ratelimit import Bucket
from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import run
from hetzner_k3s.lab.simulated.wires.hetzner_transport import HetznerTransport
from hetzner_k3s.lab.simulated.world import World, world
from hetzner_k3s.model.errors import ExitCode

from . import tool
from .clusters import MASTER1, a_spec

_SPEC = a_spec(3, 10)


@contextmanager
def _statuses(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Note the status of every answer of Hetzner's."""
    seen: list[int] = []
    carried = HetznerTransport.handle_async_request

    async def carry(self: HetznerTransport, request: httpx2.Request) -> httpx2.Response:
        answer = await carried(self, request)
        seen.append(answer.status_code)
        return answer

    monkeypatch.setattr(HetznerTransport, "handle_async_request", carry)
    yield seen


def _holds(place: World, left: int, limit: int = 3600) -> None:
    bucket: Any = Bucket(limit, place.cloud.world.clock.now)
    bucket._tokens = float(left)
    place.project.bucket = bucket


@pytest.mark.parametrize(("left", "limit"), [(100, 100), (20, 3600)], ids=["a-small-bucket", "an-emptied-bucket"])
def test_a_cluster_is_made_from_few_requests_without_a_refusal(
    left: int, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with world(5, "typical") as place:
            _holds(place, left, limit)
            with _statuses(monkeypatch) as seen:
                made = await tool.create(place, _SPEC)
            assert made.code is ExitCode.CONVERGED, made.story()
            assert 429 not in seen

    run(story())


def test_somebody_else_who_takes_all_requests_costs_one_refusal_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with world(5, "typical") as place:
            with _statuses(monkeypatch) as seen:
                taken = HetznerTransport._handled

                def greedy(self: HetznerTransport, incoming: Any) -> Any:
                    if len(seen) % 15 == 14:
                        place.project.bucket._refill()
                        place.project.bucket._tokens = 0.0
                    return taken(self, incoming)

                monkeypatch.setattr(HetznerTransport, "_handled", greedy)
                made = await tool.create(place, _SPEC)
            assert made.code is ExitCode.CONVERGED, made.story()
            assert 429 in seen
            longest = max(len(list(run_of)) for status, run_of in itertools.groupby(seen) if status == 429)
            assert longest <= 10, "what was under way beside it may be refused too"

    run(story())


def test_orders_of_workers_leave_a_reserve_to_a_repair(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    """At each order of a server."""

    def noted(self: HetznerTransport, incoming: Any) -> Any:
        delivery = taken(self, incoming)
        if (incoming.method, incoming.path) == ("POST", "/servers"):
            left.append(int(delivery.headers["RateLimit-Remaining"]))
        return delivery

    taken = HetznerTransport._handled
    monkeypatch.setattr(HetznerTransport, "_handled", noted)

    async def story() -> None:
        async with world(5, "typical") as place:
            assert (await tool.create(place, a_spec(3, 1))).code is ExitCode.CONVERGED
            _holds(place, 40)
            await ServerDeleted(MASTER1).strike(place)
            left.clear()
            assert (await tool.create(place, a_spec(3, 1))).code is ExitCode.CONVERGED
            assert left[0] < 40, "the order of a master waits for nothing"
            _holds(place, 40)
            left.clear()
            assert (await tool.create(place, a_spec(3, 2))).code is ExitCode.CONVERGED
            assert left[0] >= 49, "that of a worker waits until the reserve is there again"

    run(story())
