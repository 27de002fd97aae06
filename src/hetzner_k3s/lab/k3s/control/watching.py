"""A controller's loop: look at all objects, then at every change, and look again when the watch breaks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.resources import Obj, Resource
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.logfmt import Log

_AGAIN = 1.0


async def each(
    store: Store, resource: Resource, handle: Callable[[Obj], Awaitable[None]], log: Log = logfmt.write
) -> None:
    """Call `handle` with every object and again after each of its changes, never for what is gone. Never returns.

    A handler that fails is called again a second later with a fresh look at everything; no other object waits for it.
    """

    async def handled(obj: Obj) -> bool:
        try:
            await handle(obj)
        except (ApiError, EtcdError) as problem:
            log(f"error syncing '{obj['metadata']['name']}': {problem}, requeuing", "error")
            return False
        return True

    while True:
        try:
            objects, revision = await store.list(resource)
            if all([await handled(obj) for obj in objects]):
                async for change in store.watch(resource, "", revision):
                    if change.kind != "DELETED" and not await handled(change.obj):
                        break
        except (ApiError, EtcdError) as problem:
            log(f"error watching {resource.plural}: {problem}", "error")
        await asyncio.sleep(_AGAIN)
