"""Waiting for actions: one poller asks for everybody's, many ids a request.

See docs/facts/hetzner-api.md#requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from typing import Final, TypeVar

from hetzner_k3s.adapters.hetzner import pacing
from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.adapters.hetzner.failures import understood
from hetzner_k3s.model.errors import CloudError, CloudUnavailable, Fate
from hetzner_k3s.model.text.documents import Document
from hetzner_k3s.model.text.printable import excerpt
from hetzner_k3s.ports import Clock

T = TypeVar("T")

ACTION_WITHIN: Final = 180.0
"""Seconds that an action is given, unless it makes a server."""

_UNSEEN_LOOKS: Final = 5
"""An action just started may not be listed yet."""


class Actions:
    """All actions that anybody here waits for."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api = api
        self._clock = clock
        self._waited: dict[int, asyncio.Future[None]] = {}
        self._unseen: dict[int, int] = {}
        self._interval = pacing.first_pause(0.0)
        self._poller: asyncio.Task[None] | None = None

    async def finish(self, *actions: Document | None, within: float, expected: float = 0.0) -> None:
        """Wait until actions, as an answer brought them, have succeeded.

        Args:
            actions: objects with `id` and `status`; None is skipped.
            within: seconds.
            expected: seconds that they take; nobody asks before.

        Raises:
            CloudUnavailable: one failed (its code is the action's), they took too long, or cannot be read.
        """
        with understood("what began", effect=True):
            running = still_running(action for action in actions if action is not None)
        if not running:
            return
        try:
            async with asyncio.timeout(within):
                await self._clock.sleep(expected)
                self._interval = pacing.first_pause(expected)
                await asyncio.gather(*map(self._wait, running))
        except TimeoutError:
            raise unfinished(f"Hetzner did not finish action {running} in {within:.0f} s", "action_timeout") from None

    async def _wait(self, action_id: int) -> None:
        future = self._waited.setdefault(action_id, asyncio.get_running_loop().create_future())
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            await asyncio.shield(future)
        finally:
            self._forget(action_id)

    async def _poll(self) -> None:
        while self._waited:
            await self._clock.sleep(self._interval)
            self._interval = pacing.longer(self._interval)
            await asyncio.gather(*(self._look(chunk) for chunk in _chunks(self._waited)))

    async def look(self, ids: Iterable[int]) -> tuple[Mapping[int, CloudError], frozenset[int]]:
        """Look once which of these actions have failed, and why, and which still run; the others have succeeded."""
        answers = await asyncio.gather(*(self._read(chunk) for chunk in _chunks(ids)))
        with understood("GET /actions"):
            seen = {number: action for answer in answers for number, action in answer.items()}
            reasons = {number: _failure(action) for number, action in seen.items()}
            running = frozenset(number for number, action in seen.items() if action.text("status") == "running")
        return {number: reason for number, reason in reasons.items() if reason is not None}, running

    async def failed_of_servers(self, ids: Collection[int]) -> Mapping[int, CloudError]:
        """Look once which of these actions, all of servers, have failed, and why: in one request where few have.

        Newest first: an action of long ago is behind those that are asked for.
        """
        asked = {"status": "error", "sort": "id:desc", "per_page": pacing.AT_ONCE}
        answer = await self._api.get("/servers/actions", asked)
        with understood("GET /servers/actions"):
            seen = {action.whole("id"): action for action in answer.children("actions")}
            if len(seen) >= pacing.AT_ONCE and min(seen) > min(ids):
                return (await self.look(ids))[0]
            reasons = {number: _failure(action) for number, action in seen.items() if number in ids}
        return {number: reason for number, reason in reasons.items() if reason is not None}

    async def _read(self, ids: list[int]) -> dict[int, Document]:
        answer = await self._api.get("/actions", {"id": ids, "per_page": pacing.AT_ONCE})
        with understood("GET /actions"):
            return {action.whole("id"): action for action in answer.children("actions")}

    async def _look(self, ids: list[int]) -> None:
        try:
            seen = await self._read(ids)
            for action_id in ids:
                with understood("GET /actions"):
                    self._note(action_id, seen.get(action_id))
        except CloudError as failure:
            for action_id in ids:
                self._resolve(action_id, failure)

    def _note(self, action_id: int, action: Document | None) -> None:
        if action is None:
            self._unseen[action_id] = self._unseen.get(action_id, 0) + 1
            if self._unseen[action_id] >= _UNSEEN_LOOKS:
                self._resolve(action_id, unfinished(f"Hetzner does not know action {action_id} any more", "not_found"))
        elif action.text("status") != "running":
            self._resolve(action_id, _failure(action))

    def _resolve(self, action_id: int, failure: CloudError | None) -> None:
        if (future := self._waited.get(action_id)) is not None:
            settle(future, failure)

    def _forget(self, action_id: int) -> None:
        self._waited.pop(action_id, None)
        self._unseen.pop(action_id, None)


def _chunks(ids: Iterable[int]) -> list[list[int]]:
    """Part ids into as few requests as they fit into."""
    wanted = sorted(ids)
    return [wanted[at : at + pacing.AT_ONCE] for at in range(0, len(wanted), pacing.AT_ONCE)]


def still_running(begun: Iterable[Document]) -> list[int]:
    """Return the ids of those actions that still run, as the answer that began them brought them.

    Raises:
        CloudUnavailable: one has failed already (its code is the action's).
    """
    actions = tuple(begun)
    for reason in filter(None, map(_failure, actions)):
        raise reason
    return [action.whole("id") for action in actions if action.text("status") == "running"]


def _failure(action: Document) -> CloudUnavailable | None:
    if action.text("status") != "error":
        return None
    error = action.child_or_empty("error")
    code, message = error.text_or("code", "action_failed"), error.text_or("message", "no reason given")
    return unfinished(f"Hetzner: {action.text('command')} failed: {excerpt(message)} ({code})", code)


def settle(future: asyncio.Future[T], outcome: T | CloudError) -> None:
    """End a wait, once: with what was waited for, or with an error."""
    if future.done():
        return
    if isinstance(outcome, CloudError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def unfinished(message: str, code: str) -> CloudUnavailable:
    """Make the error of something that was begun and did not come to its end."""
    return CloudUnavailable(message, code=code, fate=Fate.MAY_HAVE_HAPPENED, hint="Run the command again.")
