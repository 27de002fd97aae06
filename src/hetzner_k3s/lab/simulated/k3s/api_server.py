"""The Kubernetes API of a simulated master: the lab's own handlers on what its etcd holds, once it has started."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from hetzner_k3s.lab.k3s.api import requests
from hetzner_k3s.lab.k3s.api.definitions import DEFINITIONS
from hetzner_k3s.lab.k3s.api.face import Answer, Face, Request, json_answer
from hetzner_k3s.lab.k3s.api.resources import CUSTOM_RESOURCE_DEFINITIONS
from hetzner_k3s.lab.k3s.api.status import INITIALIZING, failure
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.control.namespaces import create_if_absent
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.simulated.hosts.server import Server

_DEFINED_AFTER: Final = 1.0


async def define(store: Store, log: Callable[[str], None]) -> None:
    """Bring in k3s' own definitions: an API that answers for the first time does not know them yet."""
    missing = list(DEFINITIONS)
    while missing:
        await asyncio.sleep(_DEFINED_AFTER)
        try:
            while missing:
                await create_if_absent(store, CUSTOM_RESOURCE_DEFINITIONS, missing[-1])
                missing.pop()
        except EtcdError as problem:
            log(f"Waiting for CRD {missing[-1]['metadata']['name']}: {problem.message}")


def unready(server: Server, request: Request) -> Answer | None:
    """Return what a k3s that has not started wholly answers, as `lab.k3s.listener` does; None when its API is asked."""
    if not server.serving:
        return json_answer(failure(503, "starting"), 503)
    if not server.api_ready or server.store is None:
        return json_answer(failure(503, "apiserver not ready"), 503)
    if server.site.now() < server.storage_at and requests.parse_path(request.path) is not None:
        return json_answer(failure(429, INITIALIZING), 429)
    return None


async def answer(server: Server, request: Request) -> Answer:
    """Answer a request of the cluster's admin."""
    refused = unready(server, request)
    if refused is not None or server.store is None:
        return refused or json_answer(failure(503, "apiserver not ready"), 503)
    return await Face(server.store, server.address, server.disk.k3s_version or "").answer(request)
