"""Writing labels: a PUT replaces them all, so each resource has one writer at a time, who knows what it carries.

See docs/facts/hetzner-api.md#labels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.adapters.hetzner.api import Api
from hetzner_k3s.model.text.documents import Document
from hetzner_k3s.ports import Clock

NEW: Final = 600.0
"""Seconds after the making of a thing in which nobody is thought to have labelled it by hand."""


class Labels:
    """Labels of the resources of a project; a `path` is that of a resource, such as `/servers/42`."""

    def __init__(self, api: Api, clock: Clock) -> None:
        self._api, self._clock = api, clock
        self._writers: dict[str, asyncio.Lock] = {}
        self._made: dict[str, tuple[float, dict[str, str]]] = {}
        """Path -> when this run made it (seconds, monotonic), and what it carries since."""

    def remember(self, path: str, made: Document) -> None:
        """Note a resource that this run has just made; one that it adopted may be anybody's."""
        self._made[path] = (self._clock.monotonic(), made.text_map("labels"))

    async def merge(self, kind: str, path: str, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Change labels of a resource (`kind` as its answer names it) on a fresh GET, and return what there is then.

        Nothing is written where that is so already. What this run has just made itself is not read: it carries what
        this run gave it.
        """
        async with self._writers.setdefault(path, asyncio.Lock()):
            present = self._remembered(path)
            if present is None:
                present = (await self._api.get(path)).child(kind).text_map("labels")
            merged = {key: value for key, value in {**present, **changes}.items() if value is not None}
            if merged != present:
                await self.replace(path, merged)
        return merged

    async def replace(self, path: str, labels: Mapping[str, str]) -> Document:
        """Replace all labels and return the answer; while it has not come nothing is known of them."""
        made = self._made.pop(path, None)
        answer = await self._api.put(path, {"labels": dict(labels)})
        if made is not None:
            self._made[path] = (made[0], dict(labels))
        return answer

    def _remembered(self, path: str) -> dict[str, str] | None:
        made_at, labels = self._made.get(path, (0.0, None))
        return labels if labels is not None and self._clock.monotonic() - made_at < NEW else None
