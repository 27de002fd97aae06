"""What can stand between an operator and an API: it answers in the API's place, or spoils answers on their way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx2


@dataclass(slots=True, eq=False)
class Obstacle:
    """A gateway, a proxy or a broken line: which requests it hits, and what arrives then.

    Args:
        arrives: makes what arrives of what was answered; it may raise a `httpx2.TransportError`.
        method: HTTP method, or "*".
        path: regular expression that the end of the path must match.
        asks: whether the API is asked; where it is not, its answer is an empty one.
        times: requests it acts on, None for all.
    """

    arrives: Callable[[httpx2.Response], httpx2.Response]
    method: str = "*"
    path: str = ".*"
    asks: bool = True
    times: int | None = 1
    acted: int = field(default=0)

    def hits(self, request: httpx2.Request) -> bool:
        """Check whether it acts on a request, and count it."""
        if self.method not in ("*", request.method) or not re.search(f"(?:{self.path})$", request.url.path):
            return False
        if self.times is not None and self.acted >= self.times:
            return False
        self.acted += 1
        return True


class Obstructed(httpx2.AsyncBaseTransport):
    """A way to an API past all obstacles that stand now.

    Args:
        way: carries what they let through.
        obstacles: of the world; the first that hits a request acts on it.
    """

    def __init__(self, way: httpx2.AsyncBaseTransport, obstacles: list[Obstacle]) -> None:
        self._way, self._obstacles = way, obstacles

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry a request as far as it comes."""
        obstacle = next((one for one in self._obstacles if one.hits(request)), None)
        if obstacle is None:
            return await self._way.handle_async_request(request)
        answered = await self._way.handle_async_request(request) if obstacle.asks else httpx2.Response(204)
        return obstacle.arrives(answered)
