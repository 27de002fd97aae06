"""Single calls to the emulated cloud, without a wire: delays, lost answers, typed errors, repetitions, kill moments."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.lab.cloud.cloud import Cloud, Delivery, Incoming
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.lab.simulated.translate import Json
from hetzner_k3s.model.errors import CloudConflict, CloudError, CloudRefused, CloudUnavailable, Fate

Query = Mapping[str, str | list[str]]

_TIMEOUT: Final = 30.0
_RETRIES: Final = 5
_BACKOFF: Final = (0.25, 0.5)
_BACKOFF_CAP: Final = 15.0
_BUSY: Final = frozenset({"conflict", "rate_limit_exceeded"})
_LOST: Final = frozenset({"bad_gateway", "timeout", "no_answer"})
_TAKEN: Final = frozenset({"uniqueness_error", "conflict", "locked", "resource_in_use"})
_PASSING: Final = frozenset(
    {"server_error", "unavailable", "maintenance", "service_error", "rate_limit_exceeded", *_LOST}
)
_NO_CAPACITY: Final = frozenset({"resource_unavailable", "placement_error"})


class Api:
    """Calls with a token.

    Args:
        cloud: the state machine.
        token: whose project.
        moments, chance: of the run.
    """

    def __init__(self, cloud: Cloud, token: str, moments: Moments, chance: Chance) -> None:
        self._cloud, self._token, self._moments, self._chance = cloud, token, moments, chance
        self.writes: list[str] = []
        """Every request of this run that could change something."""
        self.requests: list[str] = []
        """Every request of this run, with `{id}` for a number."""

    def with_token(self, token: str) -> Api:
        """Return the same way to the cloud with another token; its requests are this run's too."""
        other = Api(self._cloud, token, self._moments, self._chance)
        other.writes, other.requests = self.writes, self.requests
        return other

    async def get(self, path: str, query: Query | None = None) -> Json:
        """Read; repeated for every passing cause. A list of values makes a parameter that is given so often."""
        return await self._call("GET", path, query or {}, None, repeatable=True)

    async def post(self, path: str, body: Json) -> Json:
        """Create or start something; repeated only when it surely did not happen."""
        return await self._call("POST", path, {}, body, repeatable=False)

    async def repeatable_post(self, path: str, body: Json) -> Json:
        """Do something that may be done twice."""
        return await self._call("POST", path, {}, body, repeatable=True)

    async def put(self, path: str, body: Json) -> Json:
        """Replace."""
        return await self._call("PUT", path, {}, body, repeatable=True)

    async def delete(self, path: str) -> Json:
        """Delete by id."""
        return await self._call("DELETE", path, {}, None, repeatable=True)

    async def pause(self, attempt: int) -> None:
        """Wait before a repetition."""
        longest = min(_BACKOFF_CAP, _BACKOFF[1] * 2**attempt)
        await asyncio.sleep(self._chance.uniform(_BACKOFF[0], longest))

    async def _call(self, method: str, path: str, query: Query, body: Json | None, *, repeatable: bool) -> Json:
        for attempt in range(_RETRIES + 1):
            try:
                return await self._once(method, path, query, body)
            except CloudError as failure:
                passing = failure.code in _BUSY or (repeatable and failure.code in _LOST)
                if not passing or attempt == _RETRIES:
                    raise
            await self.pause(attempt)
        raise AssertionError("unreachable")

    async def _once(self, method: str, path: str, query: Query, body: Json | None) -> Json:
        self._moments.check()
        writing = method != "GET"
        self.requests.append(f"{method} {_general(path)}")
        if writing:
            self.writes.append(f"{method} {path}")
            self._moments.pass_by(f"before {method} {_general(path)}")
        raw = b"" if body is None else json.dumps(body).encode()
        delivery = self._cloud.handle(Incoming(method, path, self._token, _parameters(query), raw))
        if writing:
            self._moments.pass_by(f"after {method} {_general(path)}")
        await asyncio.sleep(_TIMEOUT if delivery.dropped else delivery.delay)
        self._moments.check()
        return _answer(delivery, f"{method} {path}", effect=writing)


def _parameters(query: Query) -> tuple[tuple[str, str], ...]:
    every = ((name, [value] if isinstance(value, str) else value) for name, value in query.items())
    return tuple((name, value) for name, values in every for value in values)


def _general(path: str) -> str:
    return "/".join("{id}" if part.isdigit() else part for part in path.split("/"))


def _answer(delivery: Delivery, what: str, *, effect: bool) -> Json:
    if delivery.dropped:
        fate = Fate.MAY_HAVE_HAPPENED if effect else Fate.DID_NOT_HAPPEN
        raise CloudUnavailable(f"no answer from Hetzner to {what}", code="no_answer", fate=fate)
    body = delivery.answer.body or {}
    if "error" not in body or not isinstance(body["error"], dict) or delivery.answer.status < 400:
        return body
    raise _error(body["error"]["code"], body["error"]["message"], what, effect=effect)


def _error(code: str, message: str, what: str, *, effect: bool) -> CloudError:
    passing = code in _PASSING
    lost = effect and passing and code != "rate_limit_exceeded"
    kind: type[CloudError] = CloudRefused
    if code in _TAKEN:
        kind = CloudConflict
    elif passing or code in _NO_CAPACITY:
        kind = CloudUnavailable
    fate = Fate.MAY_HAVE_HAPPENED if lost else Fate.DID_NOT_HAPPEN
    return kind(f"Hetzner refused {what}: {message} ({code})", code=code, fate=fate)
