"""The k3s release download as hosts ask for it: the program and its checksum file, unmodified addresses, over TLS."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

_VERSION = re.compile(r"v\d+\.\d+\.\d+([-+.][0-9A-Za-z.-]+)*\+k3s\d+")


def release_routes(program: Callable[[str], bytes]) -> list[Route]:
    """Serve `program(version)` as the release of every well-formed k3s version."""
    built = lru_cache(maxsize=8)(program)

    def asset(request: Request) -> Response:
        version, name = request.path_params["version"], request.path_params["name"]
        if not _VERSION.fullmatch(version):
            return PlainTextResponse("Not Found", status_code=404)
        if name == "k3s":
            return Response(built(version), media_type="application/octet-stream")
        if name == "sha256sum-amd64.txt":
            return PlainTextResponse(f"{hashlib.sha256(built(version)).hexdigest()}  k3s\n")
        return PlainTextResponse("Not Found", status_code=404)

    return [Route("/k3s-io/k3s/releases/download/{version}/{name}", asset)]
