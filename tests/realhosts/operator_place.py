"""Runs coroutines of the product where the lab's operator sits, in this very process."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.network.namespaces import CLONE_NEWNET

T = TypeVar("T")


class OperatorPlace:
    """An event loop in a thread of the lab's network namespace; worker threads that it starts are there too."""

    def __init__(self, lab: LabHandle) -> None:
        self._loop = asyncio.new_event_loop()
        namespace = Path(f"/proc/{lab.running.daemon}/ns/net")
        self._thread = threading.Thread(target=self._live, args=(namespace,))
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Start a coroutine."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.start(work).result()

    def close(self) -> None:
        """End the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _live(self, namespace: Path) -> None:
        _enter(namespace)
        self._loop.run_forever()


def _enter(namespace: Path) -> None:
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(descriptor)
