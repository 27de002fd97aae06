"""What obstacles on the way to an API make of its answers (`lab.simulated.wires.obstacles`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2

from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.wires.obstacles import Obstacle

Arrives = Callable[[httpx2.Response], httpx2.Response]


class _Trickle(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(20)
            yield b" "


class _Flood(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        for _ in range(1024):
            yield bytes(1 << 20)


def trickling(answer: httpx2.Response) -> httpx2.Response:
    """Send a byte every twenty seconds, for ever."""
    return httpx2.Response(answer.status_code, stream=_Trickle())


def flooding(answer: httpx2.Response) -> httpx2.Response:
    """Send a GiB."""
    return httpx2.Response(answer.status_code, stream=_Flood())


def cut(answer: httpx2.Response) -> httpx2.Response:
    """Cut an answer short; a refusal comes whole."""
    return httpx2.Response(answer.status_code, content=answer.content[:40]) if answer.is_success else answer


def silent(_answer: httpx2.Response) -> httpx2.Response:
    """Hang up instead of an answer."""
    raise httpx2.RemoteProtocolError("Server disconnected without sending a response")


def bare(answer: httpx2.Response) -> httpx2.Response:
    """Take the headers off an answer, its date among them, as some proxies do."""
    return httpx2.Response(answer.status_code, headers={"Date": "today"}, content=answer.content)


def page(status: int) -> Arrives:
    """Answer with the page of a gateway, which knows nothing of the API."""
    return lambda _answer: httpx2.Response(status, html="<html><h1>nginx</h1></html>")


def saying_no(status: int, message: str) -> Arrives:
    """Answer as the Kubernetes API does where it, or a webhook of somebody's, says no."""
    return lambda _answer: httpx2.Response(status, json={"kind": "Status", "code": status, "message": message})


class _AtRandom(Obstacle):
    """An obstacle that hits a share of all requests."""

    def __init__(self, chance: Chance, share: float, arrives: Arrives, *, asks: bool) -> None:
        super().__init__(arrives, asks=asks)
        self._chance, self._share = chance, share

    def hits(self, request: httpx2.Request) -> bool:  # noqa: ARG002
        return self._chance.happens(self._share)


def at_random(chance: Chance, share: float) -> list[Obstacle]:
    """Spoil a share of all answers in every way that there is, whether or not the API was asked."""
    pages = [(page(status), asks) for status in (403, 404, 429, 500, 502, 503, 504) for asks in (True, False)]
    kinds = [*pages, (cut, True), (silent, True), (silent, False)]
    return [_AtRandom(chance, share / len(kinds), arrives, asks=asks) for arrives, asks in kinds]


def with_fields(change: Callable[[dict[str, Any]], object]) -> Arrives:
    """Change the document of an answer of success in place."""

    def changed(answer: httpx2.Response) -> httpx2.Response:
        if not answer.is_success:
            return answer
        document = json.loads(answer.content)
        change(document)
        return httpx2.Response(answer.status_code, json=document)

    return changed
