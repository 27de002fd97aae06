"""One HTTP request to the Hetzner API and its answer: a document of bounded size, or a typed failure.

Only our own token authenticates: no `.netrc` is read, and no redirect is followed, which takes the token elsewhere.
Proxy variables (`HTTPS_PROXY`, `NO_PROXY`) and `REQUESTS_CA_BUNDLE` are honoured (docs/security.md).
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import certifi
import httpx2

from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt
from hetzner_k3s.ports import Clock

Bearer = Callable[[httpx2.Request], httpx2.Request]
"""Puts a token into a request; being there at all it keeps a login in the endpoint's URL from taking its place."""

_AT_ONCE: Final = 10
"""Calls, and connections that are kept."""
_TIMEOUT: Final = httpx2.Timeout(30.0, connect=5.0, pool=None)
"""Seconds to connect, and between two pieces of an answer."""
_WHOLE_SECONDS: Final = 120.0
_MOST_BYTES: Final = 16 << 20
"""Of an answer: a page of fifty servers has a fiftieth of that."""
_HEADERS: Final = {"User-Agent": "hetzner-k3s", "Accept": "application/json"}
_AUTHORITIES: Final = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class Refused(Exception):
    """Hetzner answered with an error; `code` is its word for it, or the HTTP status where there was none."""

    def __init__(self, code: str, message: str, correlation_id: str, limits: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.correlation_id, self.limits = code, message, correlation_id, limits


class Unreadable(Exception):
    """An answer of success came that is not what was asked for: cut short, too long, no JSON."""


class Unaskable(Exception):
    """The endpoint, or the proxy before it, is none that can be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request that was sent, and how it ended: with a `status`, or with an `error` (a type of exception).

    `asked` is when it was sent, in the clock's monotonic seconds; `request_id` Hetzner's name for it.
    """

    method: str
    path: str
    asked: float
    status: int | None = None
    error: str = ""
    request_id: str = ""


Note = Callable[[int, Mapping[str, str]], None]
"""Is told of an answer's status and headers."""

Heard = Callable[[Exchange], None]
"""Is told of every exchange."""


class Connection:
    """Requests to an endpoint (URL with `/v1`), with any token.

    Args:
        endpoint: whom to ask.
        clock: this machine's.
        transport: what carries requests; None for the network.
        heard: is told of every exchange.
    """

    def __init__(
        self,
        endpoint: str,
        clock: Clock,
        transport: httpx2.AsyncBaseTransport | None = None,
        heard: Heard = lambda _exchange: None,
    ) -> None:
        self._heard = heard
        self._endpoint, self._clock, self._transport = endpoint.rstrip("/"), clock, transport
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._opened: httpx2.AsyncClient | None = None
        self.ahead: float | None = None
        """Seconds by which Hetzner's clock is ahead of this machine's, as its last answer was dated."""

    async def close(self) -> None:
        """Drop the connections."""
        if self._opened is not None:
            await self._opened.aclose()

    async def request(
        self,
        method: str,
        path: str,
        bearer: Bearer,
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        *,
        note: Note,
    ) -> Document:
        """Ask, and read the answer; `note` is told of its status and headers.

        Raises:
            Refused: Hetzner said no.
            Unreadable: it said yes in a way that cannot be read.
            Unaskable: there is nobody to ask.
            httpx2.HTTPError, OSError: there was no answer.
        """
        try:
            async with self._turns, asyncio.timeout(_WHOLE_SECONDS):
                answer, content = await self._exchange(method, path, params=params, json=body, auth=bearer)
        except TimeoutError:
            raise httpx2.ReadTimeout(f"the answer did not end within {_WHOLE_SECONDS:.0f} s") from None
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol, UnicodeError) as problem:
            raise Unaskable(str(problem)) from None
        note(answer.status_code, answer.headers)
        if not answer.is_success:
            raise _refused(answer, content)
        try:
            return Document.parsed(content) if content else Document({})
        except Malformed as problem:
            raise Unreadable(str(problem)) from None

    async def _exchange(self, method: str, path: str, **arguments: Any) -> tuple[httpx2.Response, bytes]:
        """Ask, read the answer, and tell of both, also where nothing came or nobody waits for it any more."""
        asked = self._clock.monotonic()
        try:
            answer, content = await self._ask(method, path, asked, **arguments)
        except BaseException as failure:
            self._heard(Exchange(method=method, path=path, asked=asked, error=type(failure).__name__))
            raise
        name = _name_of(answer)
        self._heard(Exchange(method=method, path=path, asked=asked, status=answer.status_code, request_id=name))
        return answer, content

    async def _ask(self, method: str, path: str, asked: float, **arguments: Any) -> tuple[httpx2.Response, bytes]:
        """Ask, and read an answer, unpacked, up to a size."""
        content = bytearray()
        async with self._client().stream(method, self._endpoint + path, **arguments) as answer:
            self._note_date(answer.headers.get("Date", ""), self._clock.monotonic() - asked)
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > _MOST_BYTES:
                    raise Unreadable(f"it is longer than {_MOST_BYTES >> 20} MiB")
        return answer, bytes(content)

    def _client(self) -> httpx2.AsyncClient:
        """Return the client; it is made by the first call, since what the environment names may be wrong."""
        if self._opened is None:
            try:
                self._opened = _open(self._transport)
            except (ValueError, ImportError) as problem:  # a proxy of no known kind, or SOCKS
                raise Unaskable(str(problem)) from None
        return self._opened

    def _note_date(self, date: str, elapsed: float) -> None:
        """Note how far the clocks are apart; the date has whole seconds, and the answer was on its way for a while."""
        try:
            dated = parsedate_to_datetime(date).timestamp()
        except (ValueError, TypeError):
            return
        answered = self._clock.now()
        early, late = dated + 1 - (answered - elapsed), dated - answered
        self.ahead = min(early, 0.0) + max(late, 0.0)


def _open(transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    """Make the client; what is not injected is the network, by way of the proxies that the environment names."""
    return httpx2.AsyncClient(
        transport=transport,
        verify=_authorities() if transport is None else False,
        headers=_HEADERS,
        timeout=_TIMEOUT,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=_AT_ONCE, max_keepalive_connections=_AT_ONCE),
    )


def _authorities() -> ssl.SSLContext:
    """Return TLS that trusts the authorities that the environment names, or else those that Mozilla trusts."""
    name = next((name for name in _AUTHORITIES if os.environ.get(name)), None)
    place = os.environ[name] if name else certifi.where()
    try:
        if Path(place).is_dir():
            return ssl.create_default_context(capath=place)
        return ssl.create_default_context(cafile=place)
    except OSError as error:
        raise Unaskable(f"{name or 'certifi'} names authorities that cannot be read: {error.strerror}") from None


def _name_of(answer: httpx2.Response) -> str:
    """Return Hetzner's own name for a request, by which its support finds it."""
    return excerpt(answer.headers.get("X-Correlation-Id", ""), 100)


def _refused(answer: httpx2.Response, content: bytes) -> Refused:
    """Read an error; a gateway in between answers with a page instead, whose status is all that counts."""
    correlation_id = _name_of(answer)
    try:
        error = Document.parsed(content).child("error")
        details = error.child_or_empty("details") if isinstance(error.fields.get("details"), dict) else Document({})
        limits = tuple(limit.text("name") for limit in details.children_or_none("limits"))
        code, message = error.text("code"), excerpt(error.raw_text("message"))
    except Malformed:
        return Refused(str(answer.status_code), excerpt(answer.reason_phrase, 200), correlation_id)
    return Refused(code, message, correlation_id, limits)
