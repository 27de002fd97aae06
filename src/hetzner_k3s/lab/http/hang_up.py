"""An answer that is lost on its way: the connection is cut without a byte."""

from __future__ import annotations

from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class HangUp(Response):
    """Cuts the connection instead of answering.

    ASGI has no word for it. uvicorn's `receive` is a method of an object that holds the transport; where another server
    runs the app, a start without a body makes the server close the connection, which clients see as a broken answer.
    """

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Abort the transport, or leave the answer unfinished."""
        transport = getattr(getattr(receive, "__self__", None), "transport", None)
        if transport is not None:
            transport.abort()
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
