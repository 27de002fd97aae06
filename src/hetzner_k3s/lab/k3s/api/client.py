"""The objects as the parts of k3s use them: a server's own store, or another server's API seen by an agent."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp

from hetzner_k3s.lab.k3s.api import status
from hetzner_k3s.lab.k3s.api.resources import Obj, Resource
from hetzner_k3s.lab.k3s.etcd.port import EtcdUnavailable

_ATTEMPTS = 8


class Objects(Protocol):
    """Read, create, change: `api.store.Store` does this, and `RemoteObjects` over HTTP."""

    async def find(self, resource: Resource, name: str, namespace: str = "") -> Obj | None:
        """Read an object, or None when there is none."""
        ...

    async def create(self, resource: Resource, obj: Obj, namespace: str = "") -> Obj:
        """Store a new object."""
        ...

    async def change(
        self, resource: Resource, name: str, namespace: str, edit: Callable[[Obj], Obj], subresource: str = ""
    ) -> Obj:
        """Read, edit, write back."""
        ...


class Servers(Protocol):
    """An agent's choice among API servers."""

    def choose(self) -> str:
        """Return the base URL to use now."""
        ...

    def failed(self, server: str) -> None:
        """Hear that a server does not answer."""
        ...


class RemoteObjects:
    """The API of a cluster, seen through an agent's load balancer.

    Args:
        servers: chooses the server to ask, and hears of those that do not answer.
        tls: trust and client certificate.
    """

    def __init__(self, servers: Servers, tls: ssl.SSLContext) -> None:
        self._servers = servers
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls), timeout=aiohttp.ClientTimeout(total=10)
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def find(self, resource: Resource, name: str, namespace: str = "") -> Obj | None:
        code, body = await self._call("GET", _path(resource, namespace, name))
        return None if code == 404 else _checked(code, body)

    async def create(self, resource: Resource, obj: Obj, namespace: str = "") -> Obj:
        return _checked(*await self._call("POST", _path(resource, namespace), obj))

    async def change(
        self, resource: Resource, name: str, namespace: str, edit: Callable[[Obj], Obj], subresource: str = ""
    ) -> Obj:
        path = _path(resource, namespace, name)
        for _ in range(_ATTEMPTS):
            current = _checked(*await self._call("GET", path))
            code, body = await self._call("PUT", f"{path}/{subresource}" if subresource else path, edit(current))
            if code != 409:
                return _checked(code, body)
        raise status.conflict(resource, name)

    async def _call(self, method: str, path: str, body: Obj | None = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        server = self._servers.choose()
        try:
            async with self._session.request(method, server + path, data=data, headers=headers) as response:
                return response.status, json.loads(await response.read())
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as problem:
            self._servers.failed(server)
            raise EtcdUnavailable(f"the API does not answer: {problem}") from problem


def _path(resource: Resource, namespace: str, name: str = "") -> str:
    root = f"/apis/{resource.api_version}" if resource.group else f"/api/{resource.version}"
    space = f"/namespaces/{namespace}" if resource.namespaced and namespace else ""
    return f"{root}{space}/{resource.plural}" + (f"/{name}" if name else "")


def _checked(code: int, body: Any) -> Obj:
    if code >= 400:
        raise status.ApiError(code, str(body.get("message", "")), str(body.get("reason", "")) or "InternalError")
    return body  # type: ignore[no-any-return]
