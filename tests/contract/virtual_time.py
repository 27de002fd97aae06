"""The cloud without wire and wall clock: requests by hand, time moved step by step."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from hetzner_k3s.lab.cloud.cloud import Cloud, Incoming
from hetzner_k3s.lab.cloud.effects.no_machines import NoMachines
from hetzner_k3s.lab.cloud.limits import Quotas

from .running_lab import SeededRng

_STEPS = 10_000


class VirtualClock:
    """Time that moves only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return 1_700_000_000 + self.seconds

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class SteppedCloud:
    """A cloud whose events happen when the test says so."""

    def __init__(
        self,
        latency: str = "typical",
        seed: int = 1,
        machines: NoMachines | None = None,
        quotas: Quotas | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.machines = machines or NoMachines()
        self.cloud = Cloud(self.clock, SeededRng(seed), self.machines, latency, {"token": "main"}, quotas=quotas)

    def ask(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        """Send a request and give the answer's body; a refusal gives `error`."""
        answer = self.cloud.handle(Incoming(method, path, "token", (), json.dumps(body).encode())).answer
        return answer.body or {}

    def server(self, number: int) -> dict[str, Any]:
        """Give a server."""
        server: dict[str, Any] = self.ask("GET", f"/servers/{number}").get("server", {})
        return server

    def order(self, name: str = "demo", **more: Any) -> dict[str, Any]:
        """Order a server and give the answer."""
        wanted = {"name": name, "server_type": "cpx22", "image": "debian-13", "location": "nbg1"}
        return self.ask("POST", "/servers", **{**wanted, **more})

    def moments(self) -> Iterator[float]:
        """Give the second of every moment at which something has just happened, until the cloud is at rest."""
        for _ in range(_STEPS):
            due = asyncio.run(self.cloud.step())
            yield self.clock.seconds
            if due is None:
                return
            self.clock.seconds = due
        raise AssertionError("the cloud does not come to rest")

    def settle(self) -> None:
        """Let everything happen that is under way."""
        for _ in self.moments():
            pass
