"""The API's answers to single requests, over whatever they come: HTTP on a real host, or a call in one process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hetzner_k3s.lab.k3s.api import discovery, requests, selectors, status, tables
from hetzner_k3s.lab.k3s.api.eviction import evict
from hetzner_k3s.lab.k3s.api.requests import Target
from hetzner_k3s.lab.k3s.api.resources import Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd.port import EtcdError

JSON: Final = "application/json"
_WITH_PODS: Final = ("Deployment", "DaemonSet")
"""Whose dependents end in this lab: a deletion in the foreground waits for them."""
_NOWHERE: Final = "the server could not find the requested resource"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks: `path` is decoded, `query` holds the first value of each name."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    accept: str = ""
    content_type: str = ""
    body: bytes = b""

    def document(self) -> Obj:
        """Return the body.

        Raises:
            ApiError: 400 or 415.
        """
        return requests.parse_body(self.body, self.content_type)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets."""

    body: bytes
    code: int = 200
    content_type: str = JSON


def wants_table(accept: str) -> bool:
    """Check whether kubectl asks for rows to print."""
    return "as=Table" in accept


def json_answer(body: Any, code: int = 200) -> Answer:
    """Return a JSON document, written without spaces as Go writes it: shell scripts read it by its marks."""
    return Answer(json.dumps(body, separators=(",", ":")).encode(), code)


def error_answer(problem: ApiError | EtcdError) -> Answer:
    """Return the Status of an error."""
    if isinstance(problem, ApiError):
        return json_answer(problem.body(), problem.code)
    silent = problem.message == "context deadline exceeded"
    return json_answer(status.failure(500, "etcdserver: request timed out" if silent else problem.message), 500)


class Face:
    """Answers requests of authenticated clients from a store; watches, which have no end, are the carrier's.

    Args:
        store: the objects.
        address: this server's, for discovery.
        version: `v1.36.3+k3s1`.
    """

    def __init__(self, store: Store, address: str, version: str) -> None:
        self._store, self._address, self._version = store, address, version

    async def answer(self, request: Request) -> Answer:
        """Answer one request; every error becomes a Status."""
        try:
            return await self._dispatch(request)
        except (ApiError, EtcdError) as problem:
            return error_answer(problem)

    async def resource(self, target: Target) -> Resource:
        """Return what a path names.

        Raises:
            ApiError: 404.
        """
        found = self._store.catalogue.find(target.group, target.version, target.plural)
        if found is None and target.group:
            await self._store.refresh_definitions()
            found = self._store.catalogue.find(target.group, target.version, target.plural)
        if found is None:
            raise ApiError(404, _NOWHERE)
        return found

    async def _dispatch(self, request: Request) -> Answer:
        target = requests.parse_path(request.path)
        if target is None:
            return await self._undirected(request)
        if target.plural.endswith("reviews") and request.method == "POST":
            return self._review(request, target)
        resource = await self.resource(target)
        handler: Callable[[Request, Resource, Target], Awaitable[Answer]] = {
            ("GET", False): self._list,
            ("GET", True): self._get,
            ("POST", False): self._create,
            ("POST", True): self._post_subresource,
            ("PUT", True): self._replace,
            ("PATCH", True): self._patch,
            ("DELETE", True): self._delete,
            ("DELETE", False): self._delete_collection,
        }.get((request.method, bool(target.name)), self._refuse_method)
        return await handler(request, resource, target)

    async def _refuse_method(self, _request: Request, _resource: Resource, _target: Target) -> Answer:
        raise ApiError(405, "the server does not allow this method on the requested resource")

    async def _undirected(self, request: Request) -> Answer:
        path = request.path.strip("/")
        if path in ("readyz", "livez", "healthz"):
            return await self._health(path, "verbose" in request.query)
        if path == "version":
            return json_answer(_version(self._version))
        if path == "openapi/v2":
            return Answer(discovery.OPENAPI_V2, content_type=discovery.OPENAPI_V2_TYPE)
        if path.startswith(("apis", "openapi")):
            await self._store.refresh_definitions()
        document = self._discover(path)
        if document is None:
            raise ApiError(404, _NOWHERE)
        return json_answer(document)

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

    async def _health(self, endpoint: str, verbose: bool) -> Answer:
        try:
            await asyncio.wait_for(self._store.kv.get("health"), 2)
            ok = True
        except (EtcdError, TimeoutError):
            ok = False
        text = discovery.health_text(endpoint, ok) if verbose or not ok else "ok"
        return Answer(text.encode(), 200 if ok else 500, "text/plain; charset=utf-8")

    def _review(self, request: Request, target: Target) -> Answer:
        user = {"username": "system:admin", "groups": ["system:masters", "system:authenticated"]}
        answer = {"allowed": True} if "access" in target.plural else {"userInfo": user}
        return json_answer(request.document() | {"status": answer}, 201)

    async def _get(self, request: Request, resource: Resource, target: Target) -> Answer:
        obj = await self._store.get(resource, target.name, target.namespace)
        return self._rendered(request, resource, obj)

    def _rendered(self, request: Request, resource: Resource, obj: Obj, code: int = 200) -> Answer:
        if wants_table(request.accept):
            version = obj["metadata"]["resourceVersion"]
            return json_answer(tables.render(resource, [obj], version, self._store.now()), code)
        return json_answer(obj, code)

    async def _list(self, request: Request, resource: Resource, target: Target) -> Answer:
        found, revision = await self._selected(request, resource, target)
        if wants_table(request.accept):
            return json_answer(tables.render(resource, found, str(revision), self._store.now()))
        return _listed(resource, found, revision)

    async def _selected(self, request: Request, resource: Resource, target: Target) -> tuple[list[Obj], int]:
        matches = selectors.both(request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
        objects, revision = await self._store.list(resource, target.namespace)
        return [obj for obj in objects if matches(obj)], revision

    async def _create(self, request: Request, resource: Resource, target: Target) -> Answer:
        body = request.document()
        if "dryRun" in request.query:
            return json_answer(body, 201)
        return self._rendered(request, resource, await self._store.create(resource, body, target.namespace), 201)

    async def _post_subresource(self, request: Request, resource: Resource, target: Target) -> Answer:
        if (resource.plural, target.subresource) != ("pods", "eviction"):
            raise ApiError(404, _NOWHERE)
        conditions = (request.document().get("deleteOptions") or {}).get("preconditions") or {}
        await evict(self._store, target.namespace, target.name, conditions.get("uid", ""))
        return json_answer(status.success({"name": target.name, "kind": "pods"}), 201)

    async def _replace(self, request: Request, resource: Resource, target: Target) -> Answer:
        body = request.document()
        subresource = "status" if target.subresource == "status" else ""
        changed = await self._store.change(resource, target.name, target.namespace, lambda _old: body, subresource)
        return self._rendered(request, resource, changed)

    async def _patch(self, request: Request, resource: Resource, target: Target) -> Answer:
        kind, body = request.content_type, request.document()

        def edit(old: Obj) -> Obj:
            new = requests.patched(old, body, kind, resource.custom)
            if new["metadata"].get("uid") != old["metadata"]["uid"]:
                # Clients name a UID so that an object made anew under the name stays as it is.
                raise status.invalid(resource, target.name, "metadata.uid: Invalid value: field is immutable")
            if _names_version(body):
                return new
            # Without a version in the patch a lost race is tried again.
            return new | {"metadata": {**new["metadata"], "resourceVersion": old["metadata"]["resourceVersion"]}}

        if "dryRun" in request.query:
            old = await self._store.get(resource, target.name, target.namespace)
            return json_answer(edit(old))
        subresource = "status" if target.subresource == "status" else ""
        try:
            changed = await self._store.change(resource, target.name, target.namespace, edit, subresource)
        except ApiError as problem:
            if problem.code != 404 or not kind.startswith(requests.APPLY) or subresource:
                raise
            created = await self._store.create(
                resource, body | {"metadata": {"name": target.name, **body.get("metadata", {})}}, target.namespace
            )
            return self._rendered(request, resource, created, 201)
        return self._rendered(request, resource, changed)

    async def _delete(self, request: Request, resource: Resource, target: Target) -> Answer:
        options = request.document() if request.body else {}
        conditions = options.get("preconditions") or {}
        if options.get("dryRun") or "dryRun" in request.query:
            return json_answer(await self._store.get(resource, target.name, target.namespace))
        obj = await self._store.delete(
            resource,
            target.name,
            target.namespace,
            conditions.get("uid", ""),
            conditions.get("resourceVersion", ""),
            foreground=options.get("propagationPolicy") == "Foreground" and resource.kind in _WITH_PODS,
        )
        if "deletionTimestamp" in obj["metadata"]:
            return json_answer(obj)
        details = {"name": target.name, "kind": resource.plural, "uid": obj["metadata"]["uid"]}
        return json_answer(status.success(details | ({"group": resource.group} if resource.group else {})))

    async def _delete_collection(self, request: Request, resource: Resource, target: Target) -> Answer:
        found, revision = await self._selected(request, resource, target)
        for obj in found:
            await self._store.delete(resource, obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
        return _listed(resource, found, revision)


def _listed(resource: Resource, found: list[Obj], revision: int) -> Answer:
    kind, metadata = f"{resource.kind}List", {"resourceVersion": str(revision)}
    return json_answer({"kind": kind, "apiVersion": resource.api_version, "metadata": metadata, "items": found})


def _names_version(body: Any) -> bool:
    return isinstance(body, dict) and bool((body.get("metadata") or {}).get("resourceVersion"))


def _version(text: str) -> Obj:
    major, minor, *_ = text.lstrip("v").split(".")
    return {"major": major, "minor": minor, "gitVersion": text, "gitTreeState": "clean", "platform": "linux/amd64"}
