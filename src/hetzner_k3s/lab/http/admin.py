"""The lab's own interface below `/_lab`: faults, request log, tokens, state."""

from __future__ import annotations

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.cloud.requests.errors import ApiError, invalid_input
from hetzner_k3s.lab.cloud.requests.fields import Body
from hetzner_k3s.lab.http.request_log import RequestLog
from hetzner_k3s.lab.http.state import dump, listing

_MOST_BYTES: Final = 1 << 20
_MOST_DIGITS: Final = 18


def admin_routes(cloud: Cloud, log: RequestLog) -> list[Route]:
    """Return the routes; they want the lab's admin token (`guard`) and appear in no request log.

    `GET|POST|DELETE /_lab/faults`, `DELETE /_lab/faults/{id}`, `GET|DELETE /_lab/requests`, `GET /_lab/state`,
    `GET /_lab/state/{project}/{kind}`, `POST /_lab/tokens`.
    """
    admin = _Admin(cloud, log)
    return [
        Route("/_lab/faults", admin.faults, methods=["GET", "POST", "DELETE"]),
        Route("/_lab/faults/{id:int}", admin.drop_fault, methods=["DELETE"]),
        Route("/_lab/requests", admin.requests, methods=["GET", "DELETE"]),
        Route("/_lab/state", admin.state, methods=["GET"]),
        Route("/_lab/state/{project}/{kind}", admin.listing, methods=["GET"]),
        Route("/_lab/tokens", admin.grant, methods=["POST"]),
    ]


async def read_body(request: Request) -> Body:
    """Read a JSON object.

    Raises:
        ApiError: it is too long, or no JSON object.
    """
    content = b""
    async for piece in request.stream():
        content += piece
        if len(content) > _MOST_BYTES:
            raise ApiError("json_error", f"the body is longer than {_MOST_BYTES} bytes", status=413)
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ApiError("json_error", "the body is no JSON") from error
    if not isinstance(values, dict):
        raise ApiError("json_error", "the body is no JSON object")
    return Body(values)


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise invalid_input("after", "must be a whole number")
    return int(text)


class _Admin:
    def __init__(self, cloud: Cloud, log: RequestLog) -> None:
        self._cloud = cloud
        self._log = log

    async def faults(self, request: Request) -> Response:
        """List, add (fields of `Fault`) or remove all rules."""
        rules = self._cloud.faults.rules
        if request.method == "DELETE":
            rules.clear()
            return Response(status_code=204)
        if request.method == "GET":
            return JSONResponse({"faults": [fault.view() for fault in rules.values()]})
        fault = self._cloud.faults.add(await read_body(request))
        return JSONResponse({"fault": fault.view()}, 201)

    async def drop_fault(self, request: Request) -> Response:
        """Remove one rule."""
        removed = self._cloud.faults.rules.pop(request.path_params["id"], None)
        return Response(status_code=204 if removed else 404)

    async def requests(self, request: Request) -> Response:
        """Return the request log (`after`, `writing`, `method`, `path` select), or empty it and fill all buckets."""
        if request.method == "DELETE":
            self._log.clear()
            self._cloud.fill_buckets()
            return Response(status_code=204)
        query = request.query_params
        writing = {"true": True, "false": False}.get(query.get("writing", ""))
        found = self._log.select(
            after=_whole(query.get("after", "0")), writing=writing, method=query.get("method"), path=query.get("path")
        )
        return JSONResponse({"requests": [entry.view() for entry in found], "last_number": self._log.last_number})

    async def state(self, _: Request) -> Response:
        """Return everything there is, by project."""
        return JSONResponse(dump(self._cloud))

    async def listing(self, request: Request) -> Response:
        """Return all resources of a kind: complete at any number, in no request log, at no cost of the rate limit."""
        found = listing(self._cloud, request.path_params["project"], request.path_params["kind"])
        return Response(status_code=404) if found is None else JSONResponse({"resources": found})

    async def grant(self, request: Request) -> Response:
        """Let a token open a project: `{"token", "project", "read_only"}`."""
        body = await read_body(request)
        self._cloud.grant(body.text("token"), body.text("project"), read_only=body.flag("read_only", False))
        return Response(status_code=204)
