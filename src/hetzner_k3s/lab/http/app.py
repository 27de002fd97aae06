"""The emulated cloud over HTTP: what is peculiar to the wire.

See docs/facts/hetzner-api.md#order-of-checks.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hetzner_k3s.lab.cloud.cloud import Cloud, Delivery, Incoming
from hetzner_k3s.lab.cloud.requests.errors import ApiError
from hetzner_k3s.lab.cloud.requests.router import UnknownPathError
from hetzner_k3s.lab.http.admin import admin_routes
from hetzner_k3s.lab.http.guard import LOOPBACK, Guard
from hetzner_k3s.lab.http.hang_up import HangUp
from hetzner_k3s.lab.http.request_log import LoggedRequest, RequestLog

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


def build_app(
    cloud: Cloud, admin_token: str | None = None, *, hosts: Collection[str] = LOOPBACK, more: Sequence[Route] = ()
) -> Starlette:
    """Return the API below `/v1` and its admin interface below `/_lab`.

    Args:
        cloud: what answers. Whoever serves the app also runs `cloud.run()` in the same event loop.
        admin_token: what opens the admin interface; None for an API without one.
        hosts: names under which the admin interface may be asked.
        more: further routes, of the admin interface or beside the API.
    """
    log = RequestLog()
    front = _Front(cloud, log)
    routes = [
        *more,
        *admin_routes(cloud, log),
        Route("/{path:path}", front.answer, methods=list(_METHODS)),
    ]
    guard = Middleware(Guard, token=admin_token, hosts=hosts)
    return Starlette(routes=routes, middleware=[guard], exception_handlers={ApiError: _refuse})


async def _refuse(_: Request, refusal: Exception) -> Response:
    """Answer a wrong request to the lab's own interface; the API's refusals are answers of the cloud."""
    assert isinstance(refusal, ApiError)
    return Response(_encode(refusal.envelope()), refusal.status, media_type="application/json")


class _Front:
    """Takes requests off the wire and puts answers on it."""

    def __init__(self, cloud: Cloud, log: RequestLog) -> None:
        self._cloud = cloud
        self._log = log

    async def answer(self, request: Request) -> Response:
        correlation_id = self._cloud.world.rng.token_hex(8)
        incoming = Incoming(
            method=request.method,
            path=_api_path(request.url.path),
            token=_bearer(request),
            query=tuple(request.query_params.multi_items()),
            body=await request.body(),
        )
        delivery = self._cloud.handle(incoming)
        self._remember(request, incoming, delivery, correlation_id)
        if delivery.delay:
            await self._cloud.world.clock.sleep(delivery.delay)
        if delivery.dropped:
            return HangUp()
        return _response(request, delivery, correlation_id)

    def _remember(self, request: Request, incoming: Incoming, delivery: Delivery, correlation_id: str) -> None:
        self._log.add(
            LoggedRequest(
                number=self._log.next_number(),
                time=self._cloud.world.clock.now(),
                method=incoming.method,
                path=incoming.path,
                query=request.url.query,
                status=delivery.answer.status,
                writing=incoming.writing,
                project=delivery.project,
                correlation_id=correlation_id,
                dropped=delivery.dropped,
            )
        )


def _api_path(path: str) -> str:
    """Cut off `/v1`; what lies outside it is a path nobody knows."""
    return path.removeprefix("/v1") if path.startswith("/v1/") else "/"


def _bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def _response(request: Request, delivery: Delivery, correlation_id: str) -> Response:
    headers = {**delivery.headers, "X-Correlation-Id": correlation_id}
    pagination = delivery.answer.pagination
    if pagination is not None:
        links = (_link(request, page, pagination.per_page, relation) for relation, page in pagination.links())
        headers["Link"] = ", ".join(links)
    if delivery.answer.body is None:
        return Response(status_code=delivery.answer.status, headers=headers)
    content = _encode(delivery.answer.body)
    return Response(content, delivery.answer.status, headers, media_type="application/json")


def _link(request: Request, page: int, per_page: int, relation: str) -> str:
    kept = [(key, value) for key, value in request.query_params.multi_items() if key not in ("page", "per_page")]
    query = urlencode([*kept, ("page", page), ("per_page", per_page)])
    return f'<{request.url.replace(query=query)}>; rel="{relation}"'


def _encode(body: dict[str, Any]) -> bytes:
    """Print compactly, except the one answer that the vendor prints over several lines: an unknown path."""
    unknown = UnknownPathError().envelope()
    return json.dumps(
        body, indent=2 if body == unknown else None, separators=None if body == unknown else (",", ":")
    ).encode()
