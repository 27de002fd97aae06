"""The SSH of a simulated host: what is wrong with it, and who is connected."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ssh:
    """What is wrong with a host's SSH: `silent` drops packets, `denied` refuses our key, `slow` multiplies every wait.

    A `garbled` one answers every question with what nobody can read, as the adapter finds it. `lag` are seconds before
    an operation begins, while k3s goes on as ever. `cuts` are the connections that a cut ends.
    """

    silent: bool = False
    denied: bool = False
    garbled: bool = False
    slow: float = 1.0
    lag: float = 0.0
    cuts: dict[asyncio.Future[None], None] = field(default_factory=dict)

    def cut(self) -> None:
        """End every open connection."""
        cuts, self.cuts = self.cuts, {}
        for future in cuts:
            if not future.done():
                future.set_result(None)
