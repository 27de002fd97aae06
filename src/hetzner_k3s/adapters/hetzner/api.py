"""Single calls to the Hetzner API: in worker threads, with typed errors and retries for typed causes."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final

import anyio.to_thread
from requests import Response

from hetzner_k3s.adapters.hetzner.connection import Connection, Note
from hetzner_k3s.adapters.hetzner.failures import FAILURES, cloud_error, is_answer_lost, is_refused_for_now
from hetzner_k3s.model.documents import Document
from hetzner_k3s.model.errors import CloudRefused, Fate
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.ports import Clock, Rng

Json = Mapping[str, Any]
"""What we send."""

_THREADS: Final = 10
"""As many calls at once as the session keeps connections."""
_RETRIES: Final = 5
_BACKOFF_BASE: Final = 0.5
_BACKOFF_CAP: Final = 15.0
"""A rate limit refills one request a second, so seconds of waiting are enough; never until `RateLimit-Reset`, which
is when the bucket is full again, up to an hour away (docs/facts/hetzner-api.md#rate-limit)."""


def _connection(token: str, endpoint: str, note: Note) -> Connection:
    """Make the connection; a token that fits into no header would be quoted whole in the error about that."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise CloudRefused(
            "the Hetzner token holds characters that no token has (a line break, a blank?)",
            code="unauthorized",
            fate=Fate.DID_NOT_HAPPEN,
            hint="Check the Hetzner token: hetzner_token in the file, or HCLOUD_TOKEN.",
        )
    return Connection(token, endpoint, _THREADS, note)


class Api:
    """Calls with a token to an endpoint (URL with `/v1`); time and jitter come from the ports."""

    def __init__(self, token: Secret, endpoint: str, clock: Clock, rng: Rng) -> None:
        self._connection = _connection(token.reveal(), endpoint, self._note_date)
        self.ahead: float | None = None
        """Seconds by which Hetzner's clock is ahead of this machine's, as its last answer was dated."""
        self._threads = anyio.CapacityLimiter(_THREADS)
        self._clock = clock
        self._rng = rng

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Document:
        """Read; repeated for every passing cause."""
        return await self._call("GET", path, repeatable=True, params=dict(params or {}))

    async def post(self, path: str, body: Json) -> Document:
        """Create or start something; repeated only when it surely did not happen."""
        return await self._call("POST", path, repeatable=False, json=body)

    async def repeatable_post(self, path: str, body: Json) -> Document:
        """Do something that may be done twice, such as setting a firewall's rules."""
        return await self._call("POST", path, repeatable=True, json=body)

    async def put(self, path: str, body: Json) -> Document:
        """Replace."""
        return await self._call("PUT", path, repeatable=True, json=body)

    async def delete(self, path: str) -> Document:
        """Delete by id."""
        return await self._call("DELETE", path, repeatable=True)

    async def _call(self, method: str, path: str, *, repeatable: bool, **arguments: Any) -> Document:
        for attempt in range(_RETRIES + 1):
            try:
                return await anyio.to_thread.run_sync(
                    partial(self._connection.request, method, path, **arguments),
                    limiter=self._threads,
                    abandon_on_cancel=True,
                )
            except FAILURES as failure:
                passing = is_refused_for_now(failure) or (repeatable and is_answer_lost(failure))
                if not passing or attempt == _RETRIES:
                    raise cloud_error(failure, what=f"{method} {path}", effect=method != "GET") from failure
            await self.pause(attempt)
        raise AssertionError("unreachable")

    def _note_date(self, response: Response, **_: Any) -> None:
        """Note how far the clocks are apart; the date has whole seconds, and the answer was on its way for a while."""
        try:
            dated = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return
        answered = self._clock.now()
        asked = answered - response.elapsed.total_seconds()
        early, late = dated + 1 - asked, dated - answered
        self.ahead = min(early, 0.0) + max(late, 0.0)

    async def pause(self, attempt: int) -> None:
        """Wait before a repetition: exponential with full jitter."""
        longest = min(_BACKOFF_CAP, _BACKOFF_BASE * 2**attempt)
        await self._clock.sleep(self._rng.uniform(_BACKOFF_BASE / 2, longest))
