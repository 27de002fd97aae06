"""The wire to the emulated Hetzner API on virtual time: delays, lost answers, and the moments at its writes."""

from __future__ import annotations

import asyncio
import json
from email.utils import formatdate
from typing import Final

import httpx2

from hetzner_k3s.lab.cloud.cloud import Cloud, Delivery, Incoming
from hetzner_k3s.lab.simulated.moments import Moments

ENDPOINT: Final = "http://hetzner.simulated/v1"
"""Where the API answers, for those who ask through this transport."""
_PREFIX: Final = "/v1"


class HetznerTransport(httpx2.AsyncBaseTransport):
    """One run's wire to the emulated cloud.

    Args:
        cloud: the state machine.
        moments: of the run.
    """

    def __init__(self, cloud: Cloud, moments: Moments) -> None:
        self._cloud, self._moments = cloud, moments
        self.writes: list[str] = []
        """Every request of this run that could change something."""
        self.requests: list[str] = []
        """Every request of this run, with `{id}` for a number."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Carry a request there and its answer back."""
        if not str(request.url).startswith(ENDPOINT):
            raise httpx2.ConnectError("this wire leads to the simulated API alone", request=request)
        incoming = _incoming(request)
        patience = request.extensions["timeout"]["read"]
        delivery = self._handled(incoming)
        if delivery.dropped or delivery.delay > patience:
            await asyncio.sleep(patience)
            self._check()
            raise httpx2.ReadTimeout(f"nothing came within {patience:.0f} s", request=request)
        await asyncio.sleep(delivery.delay)
        self._check()
        return self._answer(delivery)

    def _handled(self, incoming: Incoming) -> Delivery:
        """Let the cloud handle a request, between the two moments of one that writes."""
        self._check()
        what = f"{incoming.method} {_general(incoming.path)}"
        self.requests.append(what)
        if not incoming.writing:
            return self._cloud.handle(incoming)
        self.writes.append(f"{incoming.method} {incoming.path}")
        self._moments.pass_by(f"before {what}")
        delivery = self._cloud.handle(incoming)
        self._moments.pass_by(f"after {what}")
        return delivery

    def _check(self) -> None:
        """Let nothing of a dead run through; what goes on beside its own task, as a poller does, just ends."""
        own = self._moments.task
        if self._moments.dead and own is not None and own is not asyncio.current_task():
            raise asyncio.CancelledError
        self._moments.check()

    def _answer(self, delivery: Delivery) -> httpx2.Response:
        dated = {"Date": formatdate(self._cloud.world.clock.now(), usegmt=True)}
        body = delivery.answer.body
        content = b"" if body is None else json.dumps(body).encode()
        return httpx2.Response(delivery.answer.status, headers={**delivery.headers, **dated}, content=content)


def _incoming(request: httpx2.Request) -> Incoming:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return Incoming(
        method=request.method,
        path=request.url.path.removeprefix(_PREFIX),
        token=token if scheme == "Bearer" else None,
        query=tuple(request.url.params.multi_items()),
        body=request.content,
    )


def _general(path: str) -> str:
    return "/".join("{id}" if part.isdigit() else part for part in path.split("/"))
