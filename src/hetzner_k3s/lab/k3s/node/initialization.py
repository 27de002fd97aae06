"""How k3s waits for a cloud controller: its network policy controller starts only on an initialized Node.

An agent tells systemd READY only afterwards, and without a cloud controller k3s ends after a quarter of an hour, on
masters too (fixtures second/15 and 16).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.control.cloud import is_waiting
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.logfmt import Log, ShutdownRequested
from hetzner_k3s.lab.k3s.node.node_object import UNINITIALIZED

PATIENCE = 900.0
"""Seconds until k3s ends: `util.DefaultAPIServerReadyTimeout`."""

_RETRY = 2.0
_WAITING = f"Network policy controller waiting for removal of {UNINITIALIZED} taint"
_GAVE_UP = (
    "failed to start networking: network policy controller failed to wait for {taint} taint to be removed from Node "
    "{name}: context deadline exceeded"
)


async def until_initialized(find: Callable[[], Awaitable[Obj | None]], name: str, log: Log) -> None:
    """Wait until the Node `name` that `find` reads bears the taint no more.

    Raises:
        ShutdownRequested: with k3s' own words, when nobody took it off.
    """
    loop = asyncio.get_running_loop()
    ends = loop.time() + PATIENCE
    while True:
        found = await read(find)
        if found is not None and not is_waiting(found):
            return
        if loop.time() >= ends:
            raise ShutdownRequested(_GAVE_UP.format(taint=UNINITIALIZED, name=name))
        if found is not None:
            log(_WAITING, "info")
        await asyncio.sleep(_RETRY)


async def read(find: Callable[[], Awaitable[Obj | None]]) -> Obj | None:
    """Read a Node; None where there is none, or no API that answers."""
    try:
        return await find()
    except (ApiError, EtcdError):
        return None
