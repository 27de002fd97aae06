"""Waiting for servers to be gone: one listing tells of all that are being deleted.

A listing that is proven complete shows an end as well as an action does, and besides what else there is by now.
"""

from __future__ import annotations

import asyncio
from typing import Final

from hetzner_k3s.adapters.hetzner import translate
from hetzner_k3s.adapters.hetzner.actions import settle, unfinished
from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.adapters.hetzner.listing import list_all
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.errors import CloudError
from hetzner_k3s.ports import Clock

Listing = tuple[Server, ...]

_FIRST_LOOK: Final = 3.0
_LATER_EACH: Final = 0.3
_LATER_MOST: Final = 4.0
"""Seconds that most servers need to go; the last of many needs longer (docs/facts/hetzner-api.md#latencies)."""
_BETWEEN: Final = 3.0
_FAILED_LOOKS: Final = 3


class Departures:
    """All servers whose end anybody here waits for."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._awaited: dict[int, asyncio.Future[Listing]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._failed = 0

    async def of(self, server_id: int, *, within: float) -> Listing:
        """Wait until a server is in no complete listing, and return that listing.

        Raises:
            CloudUnavailable: it is still there after `within` seconds, or no listing could be read.
        """
        future: asyncio.Future[Listing] = asyncio.get_running_loop().create_future()
        self._awaited[server_id] = future
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(within):
                return await future
        except TimeoutError:
            raise unfinished(
                f"server {server_id} is still listed {within:.0f} s after its deletion", "timeout"
            ) from None
        finally:
            self._awaited.pop(server_id, None)

    async def _poll(self) -> None:
        await self._clock.sleep(_FIRST_LOOK)
        await self._clock.sleep(min(_LATER_MOST, _LATER_EACH * len(self._awaited)))
        while self._awaited:
            await self._look()
            await self._clock.sleep(_BETWEEN)

    async def _look(self) -> None:
        awaited = dict(self._awaited)
        try:
            with understood("GET /servers"):
                listed = tuple(map(translate.server, await list_all(self._api, "servers")))
        except CloudError as failure:
            self._failed += 1
            if self._failed >= _FAILED_LOOKS:
                for future in awaited.values():
                    settle(future, failure)
            return
        self._failed = 0
        present = {server.id for server in listed}
        for number, future in awaited.items():
            if number not in present:
                settle(future, listed)
