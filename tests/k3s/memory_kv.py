"""etcd's keys in memory, with revisions and history: enough to test what is stored and how."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from hetzner_k3s.lab.k3s.etcd.port import Change, KeyValue, Range


class MemoryKeyValues:
    """An `etcd_port.KeyValues` without a process."""

    def __init__(self) -> None:
        self.revision = 1
        self._entries: dict[str, KeyValue] = {}
        self._history: list[Change] = []
        self._changed = asyncio.Event()

    async def get(self, key: str) -> Range:
        entry = self._entries.get(key)
        return Range(self.revision, (entry,) if entry else ())

    async def list(self, prefix: str) -> Range:
        found = [entry for key, entry in sorted(self._entries.items()) if key.startswith(prefix)]
        return Range(self.revision, tuple(found))

    async def put(self, key: str, value: bytes, expected: int, lease: int = 0) -> int | None:  # noqa: ARG002 - nothing expires here
        if self._version(key) != expected:
            return None
        previous = self._entries.get(key)
        self.revision += 1
        self._entries[key] = KeyValue(key, value, self.revision)
        self._record(Change(key, value, previous.value if previous else None, self.revision))
        return self.revision

    async def delete(self, key: str, expected: int) -> int | None:
        if self._version(key) != expected:
            return None
        previous = self._entries.pop(key)
        self.revision += 1
        self._record(Change(key, None, previous.value, self.revision))
        return self.revision

    def _version(self, key: str) -> int:
        return self._entries[key].mod_revision if key in self._entries else 0

    def _record(self, change: Change) -> None:
        self._history.append(change)
        self._changed.set()
        self._changed = asyncio.Event()

    async def watch(self, prefix: str, start_revision: int) -> AsyncIterator[tuple[Change, ...]]:
        at = 0
        while True:
            news = [c for c in self._history[at:] if c.key.startswith(prefix) and c.revision >= start_revision]
            at = len(self._history)
            if news:
                yield tuple(news)
            else:
                await self._changed.wait()

    async def grant(self, seconds: int) -> int:  # noqa: ARG002
        return 1

    async def keep_alive(self, lease: int) -> bool:  # noqa: ARG002
        return True
