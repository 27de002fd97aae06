"""Single calls to the Hetzner API: with typed errors, and retries for typed causes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import httpx2

from hetzner_k3s.adapters.hetzner.allowance import Allowance
from hetzner_k3s.adapters.hetzner.connection import Bearer, Connection
from hetzner_k3s.adapters.hetzner.failures import FAILURES, cloud_error, is_answer_lost, is_refused_for_now
from hetzner_k3s.model.errors import CloudRefused, Fate
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import Document
from hetzner_k3s.ports import Clock, Rng

Json = Mapping[str, Any]
"""What we send."""

_RETRIES: Final = 5
_BACKOFF_BASE: Final = 0.5
_BACKOFF_CAP: Final = 15.0
"""A rate limit refills one request a second, so seconds of waiting are enough; never until `RateLimit-Reset`, which
is when the bucket is full again, up to an hour away (docs/facts/hetzner-api.md#rate-limit)."""


def _bearer(token: str) -> Bearer:
    """Return what puts a token into requests; one that fits into no header would be quoted in the error about that."""
    if not (token.isascii() and token.isprintable() and token == token.strip()):
        raise CloudRefused(
            "the Hetzner token holds characters that no token has (a line break, a blank?)",
            code="unauthorized",
            fate=Fate.DID_NOT_HAPPEN,
            hint="Check the Hetzner token: hetzner_token in the file, or HCLOUD_TOKEN.",
        )

    def sign(request: httpx2.Request) -> httpx2.Request:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


class Api:
    """Calls with a token over a connection; time and jitter come from the ports."""

    def __init__(self, token: Secret, connection: Connection, clock: Clock, rng: Rng) -> None:
        self._bearer = _bearer(token.reveal())
        self._connection = connection
        self._clock = clock
        self._rng = rng
        self._allowance = Allowance(clock)

    def with_token(self, token: Secret) -> Api:
        """Return the same way to Hetzner with another token."""
        return Api(token, self._connection, self._clock, self._rng)

    async def get(self, path: str, params: Mapping[str, Any] | None = None) -> Document:
        """Read; repeated for every passing cause."""
        return await self._call("GET", path, params=params, repeatable=True)

    async def post(self, path: str, body: Json, *, patient: bool = False) -> Document:
        """Create or start something; repeated only when it surely did not happen.

        Args:
            patient: leaves the last requests that Hetzner takes to what repairs a cluster.
        """
        return await self._call("POST", path, body=body, repeatable=False, patient=patient)

    async def repeatable_post(self, path: str, body: Json) -> Document:
        """Do something that may be done twice, such as setting a firewall's rules."""
        return await self._call("POST", path, body=body, repeatable=True)

    async def put(self, path: str, body: Json) -> Document:
        """Replace."""
        return await self._call("PUT", path, body=body, repeatable=True)

    async def delete(self, path: str) -> Document:
        """Delete by id."""
        return await self._call("DELETE", path, repeatable=True)

    async def _call(
        self,
        method: str,
        path: str,
        params: Json | None = None,
        body: Json | None = None,
        *,
        repeatable: bool,
        patient: bool = False,
    ) -> Document:
        attempt = 0
        while True:
            try:
                async with self._allowance.turn(patient=patient):
                    note = self._allowance.note
                    return await self._connection.request(method, path, self._bearer, params, body, note=note)
            except FAILURES as failure:
                transient = is_refused_for_now(failure) or (repeatable and is_answer_lost(failure))
                if not transient or attempt == _RETRIES:
                    raise cloud_error(failure, what=f"{method} {path}", effect=method != "GET") from failure
            await self.pause(attempt)
            attempt += 1

    async def pause(self, attempt: int) -> None:
        """Wait before a repetition: exponential with full jitter."""
        longest = min(_BACKOFF_CAP, _BACKOFF_BASE * 2**attempt)
        await self.sleep(self._rng.uniform(_BACKOFF_BASE / 2, longest))

    async def sleep(self, seconds: float) -> None:
        """Let time go by, as the clock of this connection counts it."""
        await self._clock.sleep(seconds)
