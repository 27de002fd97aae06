"""Tells who in the product asked for each request to Hetzner, of runs in the simulation.

A request is attributed to the innermost function of `act`, `observe` or `reconcile` on its stack, across tasks, and to
the function of the adapter that this called.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httpx2

from hetzner_k3s.lab.simulated.wires.hetzner_transport import HetznerTransport

_ROOMS = ("hetzner_k3s.act.", "hetzner_k3s.observe.", "hetzner_k3s.reconcile")
_WIRE = "hetzner_k3s.adapters.hetzner."
_WRAPPERS = {"call", "_call"}

_made_by: dict[int, tuple[str, str]] = {}
"""Task (by its identity) -> who made it."""


def name_askers() -> None:
    """Have it noted from now on who makes each task of the running loop."""

    def make(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], **more: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(work, loop=loop, **more)
        _made_by[id(task)] = _asker(sys._getframe(2))
        return task

    asyncio.get_running_loop().set_task_factory(make)  # type: ignore[arg-type]


def nameless() -> None:
    """End what `name_askers` began."""
    asyncio.get_running_loop().set_task_factory(None)
    _made_by.clear()


@contextmanager
def counted() -> Iterator[Counter[tuple[str, str]]]:
    """Count requests by kind and asker, for the length of a block."""
    seen: Counter[tuple[str, str]] = Counter()
    carried = HetznerTransport.handle_async_request

    async def carry(self: HetznerTransport, request: httpx2.Request) -> httpx2.Response:
        seen[_kind(request), " < ".join(_asker(sys._getframe(1)))] += 1
        return await carried(self, request)

    HetznerTransport.handle_async_request = carry  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        HetznerTransport.handle_async_request = carried  # type: ignore[method-assign]


def _kind(request: httpx2.Request) -> str:
    path = "/".join("{id}" if part.isdigit() else part for part in request.url.path.removeprefix("/v1").split("/"))
    further = "" if request.url.params.get("page", "1") == "1" else " (further pages)"
    return f"{request.method} {path}{further}"


def _asker(frame: FrameType | None) -> tuple[str, str]:
    room = wire = ""
    while frame is not None and not room:
        module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_name
        if module.startswith(_ROOMS) and not name.startswith("<"):
            room = f"{module.removeprefix('hetzner_k3s.')}.{name}"
        elif module.startswith(_WIRE) and not name.startswith("<") and name not in _WRAPPERS:
            wire = f"{module.removeprefix(_WIRE)}.{name}"
        frame = frame.f_back
    if room:
        return room, wire
    made_by = _made_by.get(id(_task()), ("?", ""))
    return made_by[0], made_by[1] or wire


def _task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # the loop is being closed
        return None
