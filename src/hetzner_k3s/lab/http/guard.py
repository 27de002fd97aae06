"""The door of the lab's own interface: it wants a token of its own, and lets no page of a browser in.

Whoever passes can make servers run as root on this machine, so being able to reach the port is not enough: other users
of the machine can, and so can any page that one of its users looks at (by its own name for 127.0.0.1, too).
"""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""Names by which this machine's own users call it."""

_BELOW = "/_lab"


class Guard:
    """Let through what is not below `/_lab`, and below it who has the token.

    Args:
        app: what lies behind the door.
        token: what opens it; None leaves it closed.
        hosts: names under which the interface may be asked.
    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str]) -> None:
        self._app, self._token, self._hosts = app, token, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "http" and f"{scope['path']}/".startswith(f"{_BELOW}/"):
            refusal = self._refusal(Headers(scope=scope)) or _unreadable(scope["query_string"])
            if refusal is not None:
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> Response | None:
        if self._token is None:
            return _refused(404, "not_found", "this lab has no interface of its own")
        if _without_port(headers.get("host", "")) not in self._hosts:
            return _refused(403, "forbidden", "the interface is not asked under this name")
        if "origin" in headers:
            return _refused(403, "forbidden", "the interface is not for pages of a browser")
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return _refused(401, "unauthorized", "the lab's own interface wants its admin token")
        return None


def _unreadable(query: bytes) -> Response | None:
    return None if query.isascii() else _refused(400, "invalid_input", "the query holds raw bytes")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() else host


def _refused(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "details": None}}, status)
