"""Waiting for new servers: whoever speaks to one tells so; of all others one listing tells how they do.

See docs/facts/hetzner-api.md#requests.

A listing brings status and addresses of fifty servers in one request, where asking for each one's actions and then for
the server itself would take three requests a server and look. What a listing does not tell is an action that failed:
that is asked now and then, for everybody's actions at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from hetzner_k3s.adapters.hetzner import pacing, translate
from hetzner_k3s.adapters.hetzner.actions import Actions, settle, still_running, unfinished
from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.adapters.hetzner.listing import list_pages
from hetzner_k3s.model.cloud import Server, ServerOrder, ServerStatus
from hetzner_k3s.model.errors import CloudError, CloudRefused
from hetzner_k3s.model.text.documents import Document
from hetzner_k3s.ports import Clock


@dataclass(slots=True)
class _Awaited:
    """A server that somebody waits for; `age` and `left` (until its next look) are seconds that were slept."""

    made: Document
    order: ServerOrder
    actions: tuple[int, ...]
    left: float
    watched: bool
    future: asyncio.Future[Server]
    age: float = 0.0
    looks: int = 0
    missed: int = 0
    status: str = field(default="not listed")

    def resolve(self, outcome: Server | CloudError) -> None:
        settle(self.future, outcome)


class Arrivals:
    """All servers that anybody here waits for."""

    def __init__(self, api: Api, actions: Actions, clock: Clock) -> None:
        self._api, self._actions, self._clock = api, actions, clock
        self._awaited: dict[int, _Awaited] = {}
        self._poller: asyncio.Task[None] | None = None
        self._failed_listings = 0
        self._looked_at = self._came_at = float("-inf")

    def arrived(self, server_id: int, private_ip: str | None) -> None:
        """End the wait for a server that somebody spoke to: it runs, and holds this address in its network, if any."""
        if (one := self._awaited.get(server_id)) is not None:
            self._came_at = self._clock.monotonic()
            seen = replace(translate.server(one.made), status=ServerStatus.RUNNING)
            held = {} if one.order.network is None or private_ip is None else {one.order.network: private_ip}
            one.resolve(replace(seen, private_ips=held))

    async def of(self, made: Document, order: ServerOrder, actions: tuple[Document, ...], *, within: float) -> Server:
        """Wait until a server runs, with an address in the network that it was ordered for.

        Args:
            made: the server, as the answer to its order brought it.
            order: what was asked for.
            actions: those that the order began, as its answer brought them; none where the server was adopted.
            within: seconds.

        Raises:
            CloudUnavailable: an action failed (its code is the action's), it took too long, or the server is gone.
        """
        with understood("POST /servers", effect=True):
            running = tuple(still_running(actions))
            server_id = made.whole("id")
        future: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        watched = order.watched and bool(running)
        first = pacing.first_look(watched=watched) if running else 0.0
        awaited = self._awaited[server_id] = _Awaited(made, order, running, first, watched, future)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(within):
                return await future
        except TimeoutError:
            what = f"{order.name} is {awaited.status}, after {within:.0f} s not running"
            raise unfinished(what, "not_ready") from None
        finally:
            self._awaited.pop(server_id, None)

    async def _poll(self) -> None:
        while self._awaited:
            pause = self._until_look()
            if pause > 0:
                await self._clock.sleep(pause)
                for one in self._awaited.values():
                    one.left, one.age = one.left - pause, one.age + pause
            else:
                self._looked_at = self._clock.monotonic()
                await self._look(dict(self._awaited))

    def _until_look(self) -> float:
        """Return the seconds until the next look; not long, since somebody else may begin to wait meanwhile.

        Where many are awaited one is let wait for others: one listing tells of all that have come meanwhile.
        """
        watched = all(one.watched for one in self._awaited.values())
        early = self._looked_at + pacing.between_looks(len(self._awaited), watched=watched) - self._clock.monotonic()
        return pacing.until_look(max(early, one.left) for one in self._awaited.values())

    async def _look(self, awaited: dict[int, _Awaited]) -> None:
        try:
            if not await self._are_still_made(awaited.values()):
                await self._list(awaited)
            self._failed_listings = 0
        except CloudError as failure:
            self._failed_listings += 1
            if isinstance(failure, CloudRefused) or self._failed_listings >= pacing.MISSED_LOOKS:
                for one in awaited.values():
                    one.resolve(failure)
        for one in awaited.values():
            one.left = pacing.next_look(one.age, len(awaited), watched=one.watched)

    async def _are_still_made(self, awaited: Collection[_Awaited]) -> bool:
        """Check whether all are watched and likely to come yet, so that a listing would tell nothing.

        While some come, the others will: Hetzner makes them, and a network takes them, one after another.
        """
        if not all(one.watched for one in awaited):
            return False
        others_come = pacing.one_after_another(self._clock.monotonic() - self._came_at)
        numbers = frozenset(number for one in awaited for number in one.actions)
        if len(numbers) > pacing.AT_ONCE:
            _end_those_that_failed(awaited, await self._actions.failed_of_servers(numbers))
            return others_come
        running = await self._look_for_failures(awaited)
        return others_come or all(one.future.done() or not running.isdisjoint(one.actions) for one in awaited)

    async def _list(self, awaited: Mapping[int, _Awaited]) -> None:
        narrowed = pacing.narrowed(one.order for one in awaited.values())
        rows = await list_pages(self._api, "servers", **narrowed)
        with understood("GET /servers"):
            listed = {row.whole("id"): row for row in rows}
            for server_id, one in awaited.items():
                await self._note(server_id, one, listed.get(server_id))
        waiting = [one for one in awaited.values() if not one.future.done()]
        await self._look_for_failures([one for one in waiting if one.looks in pacing.LOOKS_AT_ACTIONS])

    async def _note(self, server_id: int, one: _Awaited, row: Document | None) -> None:
        one.looks += one.left <= 0
        one.missed = 0 if row is not None else one.missed + 1
        if row is None and one.missed >= pacing.MISSED_LOOKS:
            row = await self._by_id(server_id, one)  # a page that is missing is not an absence
        if row is None:
            return
        server = translate.server(row)
        one.status = server.status.value
        if one.order.is_filled_by(server):
            one.resolve(server)

    async def _by_id(self, server_id: int, one: _Awaited) -> Document | None:
        try:
            row = (await self._api.get(f"/servers/{server_id}")).child("server")
        except CloudError as failure:
            if failure.code != "not_found":
                raise
            what = f"{one.order.name} (id {server_id}) was deleted while it was being made"
            one.resolve(unfinished(what, "not_ready"))
            return None
        return row

    async def _look_for_failures(self, waiting: Iterable[_Awaited]) -> frozenset[int]:
        """End the wait for those of which an action failed; return the actions that still run."""
        asked = [one for one in waiting if one.actions]
        failed, running = await self._actions.look(number for one in asked for number in one.actions)
        _end_those_that_failed(asked, failed)
        return running


def _end_those_that_failed(awaited: Iterable[_Awaited], failed: Mapping[int, CloudError]) -> None:
    for one in awaited:
        reason = next((failed[number] for number in one.actions if number in failed), None)
        if reason is not None:
            one.resolve(reason)
