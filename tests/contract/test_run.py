"""The driver on a real event loop: calls of one machine keep their order, and one that hangs holds up no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from hetzner_k3s.lab.cloud.cloud import Cloud, Incoming
from hetzner_k3s.lab.cloud.effects.machines import MachineSpec
from hetzner_k3s.lab.cloud.effects.no_machines import NoMachines
from hetzner_k3s.lab.realhosts.system import SystemClock

from .running_lab import SeededRng

_SECONDS = 5.0


class SlowMachines(NoMachines):
    """Machines of which one is made only when it is allowed to."""

    def __init__(self, slow: str) -> None:
        super().__init__()
        self._slow = slow
        self.allowed = asyncio.Event()
        self.asked = asyncio.Event()
        self.done: list[str] = []

    async def create(self, spec: MachineSpec) -> None:
        if spec.name == self._slow:
            self.asked.set()
            await self.allowed.wait()
        await super().create(spec)
        self.done.append(f"create {spec.name}")

    async def delete(self, server_id: int) -> None:
        self.done.append(f"delete {self.specs[server_id].name}")
        await super().delete(server_id)


def driven(story: Callable[[Cloud, SlowMachines], Awaitable[None]]) -> None:
    """Run a story beside the driver, with a deadline."""

    async def both() -> None:
        machines = SlowMachines("slow")
        cloud = Cloud(SystemClock(), SeededRng(1), machines, "instant", {"token": "main"})
        driving = asyncio.create_task(cloud.run())
        try:
            await asyncio.wait_for(story(cloud, machines), _SECONDS)
            assert not driving.done()
        finally:
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)

    asyncio.run(both())


def ask(cloud: Cloud, method: str, path: str, **body: Any) -> dict[str, Any]:
    """Send a request and give the answer's body."""
    return cloud.handle(Incoming(method, path, "token", (), json.dumps(body).encode())).answer.body or {}


def order(cloud: Cloud, name: str) -> int:
    """Order a server and give its id."""
    return int(ask(cloud, "POST", "/servers", name=name, server_type="cpx22", image="debian-13")["server"]["id"])


async def until(condition: Callable[[], bool]) -> None:
    """Let other tasks run until a condition holds (the story has the deadline)."""
    while not condition():  # noqa: ASYNC110 - the API can only be polled
        await asyncio.sleep(0.001)


def test_a_machine_under_construction_is_finished_before_it_is_destroyed() -> None:
    async def story(cloud: Cloud, machines: SlowMachines) -> None:
        number = order(cloud, "slow")
        await machines.asked.wait()
        ask(cloud, "DELETE", f"/servers/{number}")
        assert ask(cloud, "GET", f"/servers/{number}")["server"]["status"] == "deleting"
        await until(lambda: cloud.world.timeline.next_due() is None)  # the call to destroy has been handed out
        assert machines.done == []
        machines.allowed.set()
        await until(lambda: ask(cloud, "GET", "/servers")["servers"] == [])
        assert machines.done == ["create slow", "delete slow"]
        assert machines.running == set()

    driven(story)


def test_one_slow_machine_holds_up_no_other() -> None:
    async def story(cloud: Cloud, machines: SlowMachines) -> None:
        slow, quick = order(cloud, "slow"), order(cloud, "quick")
        await until(lambda: ask(cloud, "GET", f"/servers/{quick}")["server"]["status"] == "running")
        assert ask(cloud, "GET", f"/servers/{slow}")["server"]["status"] == "initializing"
        machines.allowed.set()
        await until(lambda: ask(cloud, "GET", f"/servers/{slow}")["server"]["status"] == "running")

    driven(story)
