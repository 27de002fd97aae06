"""Waits as the product's adapter waits: many actions in one request, and one listing for all new servers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hetzner_k3s.lab.simulated.api import Api, Query
from hetzner_k3s.lab.simulated.translate import Json
from hetzner_k3s.model.cloud import ServerOrder, ServerStatus
from hetzner_k3s.model.errors import CloudError, CloudRefused, CloudUnavailable, Fate
from hetzner_k3s.model.hetzner import pacing
from hetzner_k3s.model.hetzner.pacing import AT_ONCE


class Actions:
    """All actions that a run waits for."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._pause = pacing.FIRST_PAUSE
        self._poller: asyncio.Task[None] | None = None

    async def finish(self, actions: Iterable[Json], *, within: float) -> None:
        """Wait until actions, as an answer brought them, have succeeded; `within` is seconds."""
        actions = list(actions)
        for reason in map(_failure, actions):
            if reason is not None:
                raise reason
        running = [action["id"] for action in actions if action["status"] == "running"]
        if not running:
            return
        try:
            async with asyncio.timeout(within):
                await asyncio.gather(*(self._one(number) for number in running))
        except TimeoutError:
            raise _error(f"actions {running} did not end", "action_timeout") from None

    async def failures(self, ids: Iterable[int]) -> Mapping[int, CloudError]:
        """Say which of these actions have failed."""
        reasons = {number: _failure(action) for number, action in (await self._read(ids)).items()}
        return {number: reason for number, reason in reasons.items() if reason is not None}

    async def _one(self, number: int) -> None:
        future = self._waiting.setdefault(number, asyncio.get_running_loop().create_future())
        self._pause = pacing.FIRST_PAUSE
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            await asyncio.shield(future)
        finally:
            self._waiting.pop(number, None)

    async def _poll(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            self._pause = pacing.longer(self._pause)
            try:
                self._note(await self._read(self._waiting))
            except CloudError as failure:
                self._end(self._waiting, failure)
            except BaseException as death:  # noqa: BLE001  a kill reaches whoever waits
                self._end(self._waiting, death)
                return

    def _note(self, seen: Mapping[int, Json]) -> None:
        for number, action in seen.items():
            if action["status"] != "running":
                self._end([number], _failure(action))

    def _end(self, numbers: Iterable[int], reason: BaseException | None) -> None:
        for future in [self._waiting[number] for number in numbers if number in self._waiting]:
            settle(future, reason)

    async def _read(self, ids: Iterable[int]) -> dict[int, Json]:
        wanted, seen = sorted(ids), dict[int, Json]()
        for at in range(0, len(wanted), AT_ONCE):
            query: Query = {"id": [str(number) for number in wanted[at : at + AT_ONCE]], "per_page": str(AT_ONCE)}
            seen |= {action["id"]: action for action in (await self._api.get("/actions", query))["actions"]}
        return seen


def settle(future: asyncio.Future[None], reason: BaseException | None) -> None:
    """End a wait, well or badly."""
    if future.done():
        return
    if reason is None:
        future.set_result(None)
    else:
        future.set_exception(reason)


@dataclass(slots=True, eq=False)
class _Expected:
    """A server on its way: `left` are the seconds until its next look."""

    order: ServerOrder
    actions: tuple[int, ...]
    left: float
    future: asyncio.Future[None]
    row: Json | None = None
    age: float = 0.0
    looks: int = 0
    missed: int = 0


class Arrivals:
    """All servers that a run waits for."""

    def __init__(self, api: Api, actions: Actions) -> None:
        self._api, self._actions = api, actions
        self._expected: dict[int, _Expected] = {}
        self._poller: asyncio.Task[None] | None = None
        self._failed = 0

    async def of(self, number: int, order: ServerOrder, actions: Iterable[Json], *, within: float) -> Json:
        """Wait until a server runs with an address in its network; `within` is seconds."""
        running = tuple(action["id"] for action in actions if action["status"] == "running")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        mine = self._expected[number] = _Expected(order, running, pacing.FIRST_LOOK if running else 0.0, future)
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            async with asyncio.timeout(within):
                await future
        except TimeoutError:
            raise _error(f"{order.name} did not become ready", "not_ready") from None
        finally:
            self._expected.pop(number, None)
        assert mine.row is not None
        return mine.row

    async def _poll(self) -> None:
        try:
            while self._expected:
                pause = pacing.until_look(one.left for one in self._expected.values())
                await asyncio.sleep(pause)
                for one in self._expected.values():
                    one.left, one.age = one.left - pause, one.age + pause
                if any(one.left <= 0 for one in self._expected.values()):
                    await self._look(dict(self._expected))
        except BaseException as death:  # noqa: BLE001  a kill reaches whoever waits
            for one in self._expected.values():
                settle(one.future, death)

    async def _look(self, expected: Mapping[int, _Expected]) -> None:
        try:
            rows = await self._listed(pacing.narrowed(one.order for one in expected.values()))
            self._failed = 0
            for number, one in expected.items():
                await self._note(number, one, rows.get(number))
            await self._ask_for_failures([one for one in expected.values() if not one.future.done()])
        except CloudError as failure:
            self._failed += 1
            if isinstance(failure, CloudRefused) or self._failed >= pacing.MISSED_LOOKS:
                for one in expected.values():
                    settle(one.future, failure)
        for one in expected.values():
            one.left = pacing.next_look(one.age, len(expected))

    async def _listed(self, narrowed: Mapping[str, str]) -> dict[int, Json]:
        rows, page, last = dict[int, Json](), 1, 1
        while page <= last:
            query = {**narrowed, "page": str(page), "per_page": str(AT_ONCE), "sort": "id"}
            answer = await self._api.get("/servers", query)
            rows |= {row["id"]: row for row in answer["servers"]}
            page, last = page + 1, answer["meta"]["pagination"]["last_page"] or 1
        return rows

    async def _note(self, number: int, one: _Expected, row: Json | None) -> None:
        one.looks += 1
        one.missed = 0 if row is not None else one.missed + 1
        if one.missed >= pacing.MISSED_LOOKS:
            try:
                row = (await self._api.get(f"/servers/{number}"))["server"]
            except CloudError as failure:
                if failure.code != "not_found":
                    raise
                settle(one.future, _error(f"{one.order.name} was deleted while it was being made", "not_ready"))
        if row is not None and _runs(row, one.order.network):
            one.row = row
            settle(one.future, None)

    async def _ask_for_failures(self, waiting: Iterable[_Expected]) -> None:
        asked = [one for one in waiting if one.actions and one.looks in pacing.LOOKS_AT_ACTIONS]
        failed = await self._actions.failures(number for one in asked for number in one.actions) if asked else {}
        for one in asked:
            for number in one.actions:
                if number in failed:
                    settle(one.future, failed[number])


def _runs(server: Json, network: int) -> bool:
    private = {net["network"] for net in server["private_net"]}
    return server["status"] == ServerStatus.RUNNING.value and network in private


def _failure(action: Json) -> CloudUnavailable | None:
    if action["status"] != "error":
        return None
    return _error(f"{action['command']}: {action['error']['message']}", action["error"]["code"])


def _error(message: str, code: str) -> CloudUnavailable:
    return CloudUnavailable(f"Hetzner: {message} ({code})", code=code, fate=Fate.MAY_HAVE_HAPPENED)
