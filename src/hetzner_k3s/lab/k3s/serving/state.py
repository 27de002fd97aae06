"""What a running server shares between its parts: how far its start is, and why it must end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass(slots=True)
class Progress:
    """How far a server's start is; the listener answers accordingly.

    `serving`: authorities and token are there, the supervisor answers. `api_ready`: etcd is up, objects are served.
    `storage_ready`: their storage is initialized; until then the API asks everybody but k3s itself to come again.
    """

    serving: bool = False
    api_ready: bool = False
    storage_ready: bool = False
    removed: bool = False
    end: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def stop(self, reason: BaseException | None = None) -> None:
        """End the server: without a reason gracefully, else by raising it."""
        if self.end.done():
            return
        if reason is None:
            self.end.set_result(None)
        else:
            self.end.set_exception(reason)
