"""k3s' release channels, as its installer and `plan` read them: the newest release of each line that the lab knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CHANNELS_PATH: Final = "/v1-release/channels"
"""As at update.k3s.io."""

NEWEST: Final[Mapping[str, str]] = {
    **{f"v1.{minor}": f"v1.{minor}.20+k3s1" for minor in range(28, 36)},
    "v1.36": "v1.36.3+k3s1",
}
"""v1.36.3 is the k3s that the lab's program is held against; the lines before it end in an invented patch release."""


def channel_routes() -> list[Route]:
    """Serve the list of channels, in the shape that update.k3s.io has."""
    data = [{"id": line, "type": "channel", "name": line, "latest": newest} for line, newest in NEWEST.items()]
    document = {"type": "collection", "resourceType": "channels", "data": data}

    async def answer(_: Request) -> JSONResponse:
        return JSONResponse(document)

    return [Route(CHANNELS_PATH, answer, methods=["GET"])]
