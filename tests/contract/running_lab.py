"""The API on loopback in a thread of its own, with machines that are only switches."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
import uvicorn
from hcloud import Client
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.cloud.effects.no_machines import NoMachines
from hetzner_k3s.lab.http.app import build_app
from hetzner_k3s.lab.http.listening import listen
from hetzner_k3s.lab.realhosts.system import SystemClock

TOKEN = "t" * 64
OTHER_TOKEN = "o" * 64
ADMIN_TOKEN = "a" * 64
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0lPGkBu0Lk9nTnVsRfDxjKqD2tVbPXcE0e7XoBCGZz someone"
_END_SECONDS = 10.0


class SeededRng:
    """Randomness that repeats."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token_hex(self, nbytes: int) -> str:
        return self._random.randbytes(nbytes).hex()

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)


@dataclass(frozen=True)
class Exchange:
    """A request and the answer that went over the wire; `path` without `/v1`."""

    method: str
    path: str
    status: int
    body: dict[str, Any] | None


class Recorder:
    """Passes requests to the app of the present test, and writes down what it answers below `/v1`, whoever asks."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.exchanges: list[Exchange] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, parts = 0, []

        async def listen_in(message: Message) -> None:
            """Write down a complete answer before it leaves: a client that has it finds it recorded."""
            nonlocal status
            status = message.get("status", status)
            parts.append(message.get("body", b""))
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                self._record(scope, status, b"".join(parts))
            await send(message)

        assert self.app is not None, "a request outside of any test"
        await self.app(scope, receive, listen_in)

    def _record(self, scope: Scope, status: int, raw: bytes) -> None:
        if scope["path"].startswith("/v1/"):
            body = json.loads(raw) if raw else None
            self.exchanges.append(Exchange(scope["method"], scope["path"].removeprefix("/v1"), status, body))


@dataclass
class Lab:
    """A running API: its address, what stands behind it, and clients for it."""

    url: str
    cloud: Cloud
    machines: NoMachines
    recorder: Recorder

    @property
    def api(self) -> str:
        """Give the endpoint clients are configured with."""
        return f"{self.url}/v1"

    def sdk(self, token: str = TOKEN) -> Client:
        """Give an official client."""
        return Client(token, api_endpoint=self.api, poll_interval=0.01)

    def send(self, method: str, path: str, token: str | None = TOKEN, **more: Any) -> requests.Response:
        """Send a request by hand."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, f"{self.api}{path}", headers=headers, timeout=10, **more)

    def admin(self, method: str, path: str, **more: Any) -> requests.Response:
        """Ask the lab's own interface."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return requests.request(method, f"{self.url}/_lab{path}", headers=headers, timeout=10, **more)


class Stage:
    """A web server in a thread of its own; each test plays a fresh cloud on it."""

    def __init__(self) -> None:
        self._recorder = Recorder()
        self._listener = listen("127.0.0.1")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._server = uvicorn.Server(uvicorn.Config(self._recorder, log_level="warning", lifespan="off", ws="none"))

    def __enter__(self) -> Stage:
        self._thread.start()
        self._serving = asyncio.run_coroutine_threadsafe(self._server.serve([self._listener]), self._loop)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._serving.result(_END_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_SECONDS)
        self._loop.close()
        self._listener.close()

    @contextmanager
    def play(self, latency: str = "instant") -> Iterator[Lab]:
        """Serve a fresh cloud until the block ends."""
        machines = NoMachines()
        cloud = Cloud(SystemClock(), SeededRng(1), machines, latency, {TOKEN: "main", OTHER_TOKEN: "other"})
        self._recorder.app, self._recorder.exchanges = build_app(cloud, ADMIN_TOKEN), []
        driving = asyncio.run_coroutine_threadsafe(cloud.run(), self._loop)
        try:
            yield Lab(f"http://127.0.0.1:{self._listener.getsockname()[1]}", cloud, machines, self._recorder)
            assert not driving.done(), driving.exception()
        finally:
            driving.cancel()
