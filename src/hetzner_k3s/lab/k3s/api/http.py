"""The HTTP face of the API: discovery, objects, watches."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web

from hetzner_k3s.lab.k3s.api import discovery, requests, selectors, status, tables
from hetzner_k3s.lab.k3s.api.eviction import evict
from hetzner_k3s.lab.k3s.api.requests import Target
from hetzner_k3s.lab.k3s.api.resources import Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store, Watched
from hetzner_k3s.lab.k3s.etcd_port import Compacted, EtcdError

Response = web.StreamResponse


def json_response(body: Any, code: int = 200) -> web.Response:
    """Answer with a JSON document, written without spaces as Go writes it: shell scripts read it by its marks."""
    headers = {"Cache-Control": "no-cache, private", "Audit-Id": str(uuid.uuid4())}
    return web.Response(
        body=json.dumps(body, separators=(",", ":")), status=code, content_type="application/json", headers=headers
    )


def _wants_table(request: web.BaseRequest) -> bool:
    return "as=Table" in request.headers.get("Accept", "")


class ApiFace:
    """Answers requests of authenticated clients from a store.

    Args:
        store: the objects.
        address: this server's, for discovery.
        version: `v1.36.3+k3s1`.
    """

    def __init__(self, store: Store, address: str, version: str) -> None:
        self._store, self._address, self._version = store, address, version

    async def handle(self, request: web.BaseRequest) -> Response:
        """Answer one request; every error becomes a Status."""
        try:
            return await self._dispatch(request)
        except ApiError as problem:
            return json_response(problem.body(), problem.code)
        except EtcdError as problem:
            text = (
                "etcdserver: request timed out" if problem.message == "context deadline exceeded" else problem.message
            )
            return json_response(status.failure(500, text), 500)

    async def _dispatch(self, request: web.BaseRequest) -> Response:
        target = requests.parse_path(request.path)
        if target is None:
            return await self._undirected(request)
        if target.plural.endswith("reviews") and request.method == "POST":
            return await self._review(request, target)
        resource = await self._resource(target)
        handler: Callable[[web.BaseRequest, Resource, Target], Any] = {
            ("GET", False): self._list,
            ("GET", True): self._get,
            ("POST", False): self._create,
            ("POST", True): self._post_subresource,
            ("PUT", True): self._replace,
            ("PATCH", True): self._patch,
            ("DELETE", True): self._delete,
            ("DELETE", False): self._delete_collection,
        }.get((request.method, bool(target.name)), self._refuse_method)
        response: Response = await handler(request, resource, target)
        return response

    async def _resource(self, target: Target) -> Resource:
        found = self._store.catalogue.find(target.group, target.version, target.plural)
        if found is None and target.group:
            await self._store.refresh_definitions()
            found = self._store.catalogue.find(target.group, target.version, target.plural)
        if found is None:
            raise ApiError(404, "the server could not find the requested resource")
        return found

    async def _refuse_method(self, _request: web.BaseRequest, _resource: Resource, _target: Target) -> Response:
        raise ApiError(405, "the server does not allow this method on the requested resource")

    async def _undirected(self, request: web.BaseRequest) -> Response:
        path = request.path.strip("/")
        if path in ("readyz", "livez", "healthz"):
            return await self._health(path, "verbose" in request.query)
        if path == "version":
            return json_response(_version(self._version))
        if path == "openapi/v2":
            return web.Response(body=discovery.OPENAPI_V2, headers={"Content-Type": discovery.OPENAPI_V2_TYPE})
        if path.startswith(("apis", "openapi")):
            await self._store.refresh_definitions()
        document = self._discover(path)
        if document is None:
            raise ApiError(404, "the server could not find the requested resource")
        return json_response(document)

    def _discover(self, path: str) -> Obj | None:
        resources = self._store.catalogue.all()
        if path == "api":
            return discovery.versions(self._address)
        if path == "apis":
            return discovery.groups(resources)
        if path == "api/v1":
            return discovery.resource_list("v1", resources)
        if path == "openapi/v3":
            return discovery.openapi_index(resources)
        if path.startswith("openapi/v3/"):
            return discovery.openapi_document(path.removeprefix("openapi/v3/"), resources, self._version)
        kind, _, rest = path.partition("/")
        if kind != "apis":
            return None
        return discovery.resource_list(rest, resources) if "/" in rest else discovery.group(rest, resources)

    async def _health(self, endpoint: str, verbose: bool) -> Response:
        try:
            await asyncio.wait_for(self._store.kv.get("health"), 2)
            ok = True
        except (EtcdError, TimeoutError):
            ok = False
        text = discovery.health_text(endpoint, ok) if verbose or not ok else "ok"
        return web.Response(text=text, status=200 if ok else 500)

    async def _review(self, request: web.BaseRequest, target: Target) -> Response:
        body = requests.parse_body(await request.read(), request.content_type)
        user = {"username": "system:admin", "groups": ["system:masters", "system:authenticated"]}
        answer = {"allowed": True} if "access" in target.plural else {"userInfo": user}
        return json_response(body | {"status": answer}, 201)

    async def _get(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        obj = await self._store.get(resource, target.name, target.namespace)
        return self._answer(request, resource, obj)

    def _answer(self, request: web.BaseRequest, resource: Resource, obj: Obj, code: int = 200) -> Response:
        if _wants_table(request):
            return json_response(
                tables.render(resource, [obj], obj["metadata"]["resourceVersion"], self._store.now()), code
            )
        return json_response(obj, code)

    async def _list(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        matches = selectors.both(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        if requests.is_on(request.query, "watch"):
            return await _Watch(self._store, request, resource, target.namespace, matches).run()
        objects, revision = await self._store.list(resource, target.namespace)
        found = [obj for obj in objects if matches(obj)]
        if _wants_table(request):
            return json_response(tables.render(resource, found, str(revision), self._store.now()))
        metadata = {"resourceVersion": str(revision)}
        body = {
            "kind": f"{resource.kind}List",
            "apiVersion": resource.api_version,
            "metadata": metadata,
            "items": found,
        }
        return json_response(body)

    async def _create(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        body = requests.parse_body(await request.read(), request.content_type)
        if "dryRun" in request.query:
            return json_response(body, 201)
        return self._answer(request, resource, await self._store.create(resource, body, target.namespace), 201)

    async def _post_subresource(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        if (resource.plural, target.subresource) != ("pods", "eviction"):
            raise ApiError(404, "the server could not find the requested resource")
        body = requests.parse_body(await request.read(), request.content_type)
        conditions = (body.get("deleteOptions") or {}).get("preconditions") or {}
        await evict(self._store, target.namespace, target.name, conditions.get("uid", ""))
        return json_response(status.success({"name": target.name, "kind": "pods"}), 201)

    async def _replace(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        body = requests.parse_body(await request.read(), request.content_type)
        subresource = "status" if target.subresource == "status" else ""
        changed = await self._store.change(resource, target.name, target.namespace, lambda _old: body, subresource)
        return self._answer(request, resource, changed)

    async def _patch(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        kind = request.headers.get("Content-Type", "")
        body = requests.parse_body(await request.read(), kind)

        def edit(old: Obj) -> Obj:
            new = requests.patched(old, body, kind, resource.custom)
            if _names_version(body):
                return new
            # Without a version in the patch a lost race is tried again.
            return new | {"metadata": {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}}

        if "dryRun" in request.query:
            old = await self._store.get(resource, target.name, target.namespace)
            return json_response(edit(old))
        subresource = "status" if target.subresource == "status" else ""
        try:
            changed = await self._store.change(resource, target.name, target.namespace, edit, subresource)
        except ApiError as problem:
            if problem.code != 404 or not kind.startswith(requests.APPLY) or subresource:
                raise
            created = await self._store.create(
                resource, body | {"metadata": {"name": target.name, **body.get("metadata", {})}}, target.namespace
            )
            return self._answer(request, resource, created, 201)
        return self._answer(request, resource, changed)

    async def _delete(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        data = await request.read()
        options = requests.parse_body(data, request.content_type) if data else {}
        conditions = options.get("preconditions") or {}
        if options.get("dryRun") or "dryRun" in request.query:
            return json_response(await self._store.get(resource, target.name, target.namespace))
        obj = await self._store.delete(
            resource, target.name, target.namespace, conditions.get("uid", ""), conditions.get("resourceVersion", "")
        )
        if "deletionTimestamp" in obj["metadata"]:
            return json_response(obj)
        details = {"name": target.name, "kind": resource.plural, "uid": obj["metadata"]["uid"]}
        return json_response(status.success(details | ({"group": resource.group} if resource.group else {})))

    async def _delete_collection(self, request: web.BaseRequest, resource: Resource, target: Target) -> Response:
        matches = selectors.both(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        objects, revision = await self._store.list(resource, target.namespace)
        found = [obj for obj in objects if matches(obj)]
        for obj in found:
            await self._store.delete(resource, obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
        metadata = {"resourceVersion": str(revision)}
        return json_response(
            {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": found}
        )


def _names_version(body: Any) -> bool:
    return isinstance(body, dict) and bool((body.get("metadata") or {}).get("resourceVersion"))


def _version(text: str) -> Obj:
    major, minor, *_ = text.lstrip("v").split(".")
    return {"major": major, "minor": minor, "gitVersion": text, "gitTreeState": "clean", "platform": "linux/amd64"}


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
        if _wants_table(self._request):
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
