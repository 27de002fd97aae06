"""Trying again while etcd has no leader: an election in the middle of a start is no reason to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.etcd.port import EtcdUnavailable

_AGAIN = 0.3
T = TypeVar("T")


async def until_answered(attempt: Callable[[], Awaitable[T]]) -> T:
    """Repeat an attempt that may safely run twice until etcd answers it."""
    while True:
        try:
            return await attempt()
        except EtcdUnavailable as problem:
            logfmt.info(f"Waiting for etcd: {problem.message}")
        await asyncio.sleep(_AGAIN)
