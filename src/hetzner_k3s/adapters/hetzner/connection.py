"""One HTTP request to the Hetzner API and its answer: a document of bounded size, or a typed failure.

Only our own token authenticates: no `.netrc` is read, and no redirect is followed, which takes the token elsewhere.
Proxy variables (`HTTPS_PROXY`, `NO_PROXY`) and `REQUESTS_CA_BUNDLE` are honoured (docs/security.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import requests

from hetzner_k3s.model.documents import Document, Malformed
from hetzner_k3s.model.printable import excerpt

_TIMEOUT: Final = (5.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""
_WHOLE_SECONDS: Final = 120.0
_MOST_BYTES: Final = 16 << 20
"""Of an answer: a page of fifty servers has a fiftieth of that."""
_PIECE: Final = 1 << 16
_AGENT: Final = "hetzner-k3s"

Note = Callable[..., None]
"""A hook of `requests`: it is called with the answer's head, and with more."""


class Refused(Exception):
    """Hetzner answered with an error; `code` is its word for it, or the HTTP status where there was none."""

    def __init__(self, code: str, message: str, correlation_id: str, limits: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.correlation_id, self.limits = code, message, correlation_id, limits


class Unreadable(Exception):
    """An answer of success came that is not what was asked for: cut short, too long, no JSON."""


class Connection:
    """Requests with a token to an endpoint (URL with `/v1`), for any number of threads; `note` sees every answer."""

    def __init__(self, token: str, endpoint: str, connections: int, note: Note) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._session = requests.Session()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=connections))
        self._session.headers.update({"User-Agent": _AGENT, "Accept": "application/json"})
        self._session.hooks["response"].append(note)
        self._bearer = _Bearer(token)

    def request(self, method: str, path: str, **arguments: Any) -> Document:
        """Ask, and read the answer.

        Raises:
            Refused: Hetzner said no.
            Unreadable: it said yes in a way that cannot be read.
            requests.RequestException: there was no answer.
        """
        with self._session.request(
            method,
            self._endpoint + path,
            auth=self._bearer,
            timeout=_TIMEOUT,
            allow_redirects=False,
            stream=True,
            **arguments,
        ) as response:
            succeeded = 200 <= response.status_code < 300
            content = _content(response)
        if not succeeded:
            raise _refused(response, content)
        try:
            return Document.parsed(content) if content else Document({})
        except Malformed as problem:
            raise Unreadable(str(problem)) from None


class _Bearer(requests.auth.AuthBase):
    """Sets our token; being there at all it keeps requests from looking into `~/.netrc`."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def _content(response: requests.Response) -> bytes:
    """Read an answer, unpacked, up to a size and a time."""
    ends = time.monotonic() + _WHOLE_SECONDS
    content = b""
    for piece in response.iter_content(_PIECE):
        content += piece
        if len(content) > _MOST_BYTES:
            raise Unreadable(f"it is longer than {_MOST_BYTES >> 20} MiB")
        if time.monotonic() > ends:
            raise requests.ReadTimeout(f"the answer did not end within {_WHOLE_SECONDS:.0f} s")
    return content


def _refused(response: requests.Response, content: bytes) -> Refused:
    """Read an error; a gateway in between answers with a page instead, whose status is all that counts."""
    correlation_id = excerpt(response.headers.get("X-Correlation-Id", ""), 100)
    try:
        error = Document.parsed(content).child("error")
        details = error.child_or_empty("details") if isinstance(error.fields.get("details"), dict) else Document({})
        limits = tuple(limit.text("name") for limit in details.children_or_none("limits"))
        code, message = error.text("code"), excerpt(error.raw_text("message"))
    except Malformed:
        return Refused(str(response.status_code), excerpt(response.reason or "", 200), correlation_id)
    return Refused(code, message, correlation_id, limits)
