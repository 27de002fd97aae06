"""A simulated world that outlives the commands run in it: for the same command line, on a machine without hosts."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

from hetzner_k3s.lab.simulated.faults import ServerDeleted
from hetzner_k3s.lab.simulated.virtual_time import VirtualTimeLoop
from hetzner_k3s.lab.simulated.world import World, world

T = TypeVar("T")


class Place:
    """One world on one virtual clock, which goes on only while something is run in it.

    Args:
        seed: decides every draw.
        latency: profile of the emulated cloud, `instant` or `typical`.
    """

    def __init__(self, seed: int, latency: str) -> None:
        self._seed, self._latency = seed, latency
        self._runner = asyncio.Runner(loop_factory=VirtualTimeLoop)
        self._stack = AsyncExitStack()
        self.world: World

    def __enter__(self) -> Self:
        """Make the world."""
        self.world = self.run(self._stack.enter_async_context(world(self._seed, self._latency)))
        return self

    def __exit__(self, *_error: object) -> None:
        """End everything in it."""
        self.run(self._stack.aclose())
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, letting virtual time pass as it needs."""
        return self._runner.run(work, context=contextvars.copy_context())

    def seconds(self) -> float:
        """Give the virtual seconds since the world began."""
        return self._runner.get_loop().time()

    def delete_server(self, name: str) -> None:
        """Have somebody delete a server at the emulated Hetzner, and wait until it is gone."""
        self.run(ServerDeleted(name).strike(self.world))
