"""What steps under way have learned already, before they end (`Context.learn`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

from hetzner_k3s.act.context import Outcome


@dataclass(slots=True)
class News:
    """A run's news, the oldest first."""

    learned: list[Outcome] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, outcome: Outcome) -> None:
        """Take something in, and wake who waits."""
        self.learned.append(outcome)
        self.came.set()

    def take(self) -> list[Outcome]:
        """Return what has come since the last time."""
        taken, self.learned = self.learned, []
        self.came.clear()
        return taken

    async def come_or(self, tasks: Iterable[asyncio.Task[Outcome]]) -> None:
        """Wait until there is something new, or one of the steps has ended."""
        coming = asyncio.create_task(self.came.wait())
        try:
            await asyncio.wait([coming, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            coming.cancel()
