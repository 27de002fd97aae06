"""The API over HTTP on a real host: single requests, and watches."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

from aiohttp import web

from hetzner_k3s.lab.k3s.api import requests, selectors, status, tables
from hetzner_k3s.lab.k3s.api.face import JSON, Answer, Face, Request, error_answer, json_answer, wants_table
from hetzner_k3s.lab.k3s.api.resources import Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store, Watched
from hetzner_k3s.lab.k3s.etcd.port import Compacted, EtcdError

Response = web.StreamResponse


def json_response(body: Any, code: int = 200) -> web.Response:
    """Answer with a JSON document."""
    return _response(json_answer(body, code))


def _response(answer: Answer) -> web.Response:
    own = {"Cache-Control": "no-cache, private", "Audit-Id": str(uuid.uuid4())} if answer.content_type == JSON else {}
    return web.Response(body=answer.body, status=answer.code, headers={"Content-Type": answer.content_type, **own})


async def _asked(request: web.BaseRequest) -> Request:
    return Request(
        method=request.method,
        path=request.path,
        query=request.query,
        accept=request.headers.get("Accept", ""),
        content_type=request.headers.get("Content-Type", ""),
        body=await request.read(),
    )


class ApiFace:
    """Answers HTTP requests of authenticated clients; see `Face`."""

    def __init__(self, store: Store, address: str, version: str) -> None:
        self._store, self._face = store, Face(store, address, version)

    async def handle(self, request: web.BaseRequest) -> Response:
        """Answer one request, or follow what it watches to its end."""
        asked = await _asked(request)
        target = requests.parse_path(asked.path)
        if target is None or target.name or asked.method != "GET" or not requests.is_on(asked.query, "watch"):
            return _response(await self._face.answer(asked))
        try:
            resource = await self._face.resource(target)
            matches = selectors.both(asked.query.get("labelSelector", ""), asked.query.get("fieldSelector", ""))
            return await _Watch(self._store, request, resource, target.namespace, matches).run()
        except (ApiError, EtcdError) as problem:
            return _response(error_answer(problem))


class _Watch:
    """One watch request: a chunked answer of events until the client leaves or its time is up."""

    def __init__(
        self,
        store: Store,
        request: web.BaseRequest,
        resource: Resource,
        namespace: str,
        matches: selectors.Test,
    ) -> None:
        self._store, self._request = store, request
        self._resource, self._namespace, self._matches = resource, namespace, matches
        self._response = web.StreamResponse(
            headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
        )

    async def run(self) -> Response:
        """Serve the watch."""
        query = self._request.query
        revision = int(query.get("resourceVersion") or 0)
        initial: list[Obj] = []
        if revision == 0 or requests.is_on(query, "sendInitialEvents"):
            initial, revision = await self._store.list(self._resource, self._namespace)
        await self._response.prepare(self._request)
        for obj in initial:
            if self._matches(obj):
                await self._send("ADDED", obj)
        if requests.is_on(query, "sendInitialEvents"):
            await self._bookmark(revision)
        try:
            await asyncio.wait_for(self._follow(revision), int(query.get("timeoutSeconds") or 1800))
        except TimeoutError:
            pass
        except Compacted:
            await self._event("ERROR", status.failure(410, f"too old resource version: {revision}"))
        except (EtcdError, ConnectionError):
            pass  # the client sees the end of the stream and asks again
        return self._response

    async def _follow(self, revision: int) -> None:
        async for change in self._store.watch(self._resource, self._namespace, revision):
            kind = _selected(change, self._matches)
            if kind:
                await self._send(kind, change.obj)

    async def _bookmark(self, revision: int) -> None:
        metadata = {"resourceVersion": str(revision), "annotations": {"k8s.io/initial-events-end": "true"}}
        body = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        await self._event("BOOKMARK", body)

    async def _send(self, kind: str, obj: Obj) -> None:
        if wants_table(self._request.headers.get("Accept", "")):
            obj = tables.render(self._resource, [obj], obj["metadata"]["resourceVersion"], self._store.now())
        await self._event(kind, obj)

    async def _event(self, kind: str, body: Obj) -> None:
        await self._response.write(json.dumps({"type": kind, "object": body}).encode() + b"\n")


def _selected(change: Watched, matches: selectors.Test) -> str:
    """Translate a change for a watcher with selectors: what starts or stops matching appears or disappears."""
    now = change.kind != "DELETED" and matches(change.obj)
    before = change.previous is not None and matches(change.previous)
    if now:
        return "MODIFIED" if before else "ADDED"
    return "DELETED" if before else ""
