"""The emulated Hetzner API on loopback, in a thread of its own; its machines are only switches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
import uvicorn
from tests.contract.running_lab import SeededRng

from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.cloud.effects.no_machines import NoMachines
from hetzner_k3s.lab.http.app import build_app
from hetzner_k3s.lab.http.channels import CHANNELS_PATH, channel_routes
from hetzner_k3s.lab.http.listening import listen
from hetzner_k3s.lab.realhosts.system import SystemClock

TOKEN = "t" * 64


@dataclass(frozen=True)
class Hetzner:
    """Where the API answers."""

    url: str

    @property
    def channels(self) -> str:
        """Give where the list of k3s' releases is."""
        return self.url.removesuffix("/v1") + CHANNELS_PATH

    def send(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send a request with the right token."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = requests.request(method, self.url + path, headers=headers, json=body or None, timeout=10)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document


@contextmanager
def running() -> Iterator[Hetzner]:
    """Serve an empty project until the block ends."""
    cloud = Cloud(SystemClock(), SeededRng(1), NoMachines(), "instant", {TOKEN: "main"})
    config = uvicorn.Config(build_app(cloud, more=channel_routes()), log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    listener = listen("127.0.0.1")

    async def serve() -> None:
        driving = asyncio.create_task(cloud.run())
        await server.serve([listener])
        driving.cancel()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield Hetzner(f"http://127.0.0.1:{listener.getsockname()[1]}/v1")
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
    assert not thread.is_alive()
