"""Bytes that still arrive over the network, as a file that a thread reads: nothing is kept that nobody asked for."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import CancelledError, Future
from types import TracebackType


class Arriving(io.RawIOBase):
    """A file of pieces to come: each is fetched when it is read, so a reader that stops, stops the sender.

    Use it in an `async with` block, whose end tells the sender that no more is wanted.
    """

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._loop = asyncio.get_running_loop()
        self._held = memoryview(b"")
        self._next: Future[bytes] | None = None
        self._fetching: asyncio.Task[object] | None = None
        self._abandoned = False

    async def __aenter__(self) -> Arriving:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fetching is not None and not self._fetching.done():
            await asyncio.wait({self._fetching})  # cancelled, but a generator cannot be closed while it runs
        if isinstance(self._pieces, AsyncGenerator):
            await self._pieces.aclose()

    async def read_by(self, work: Callable[[], None]) -> None:
        """Run what reads this file in a thread; errors of the sender come out of it, too.

        Where this is cancelled, the thread is waited for: it must not go on writing behind our back.
        """
        reading = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            self._abandon()
            await asyncio.wait({reading})
            reading.exception()  # it ended because of us
            raise

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # typeshed knows no name for a buffer
        """Copy what is at hand, after a wait for the next piece where nothing is; 0 at the end."""
        if not self._held:
            self._held = memoryview(self._fetched())
        size = min(len(buffer), len(self._held))
        buffer[:size] = self._held[:size]
        self._held = self._held[size:]
        return size

    def _fetched(self) -> bytes:
        """Have the event loop get the next piece, and wait for it in this thread."""
        if self._abandoned:
            raise OSError("nobody reads on")
        self._next = asyncio.run_coroutine_threadsafe(self._fetch(), self._loop)
        if self._abandoned:
            self._next.cancel()
        try:
            return self._next.result()
        except CancelledError:
            raise OSError("nobody reads on") from None

    def _abandon(self) -> None:
        self._abandoned = True
        if self._next is not None:
            self._next.cancel()

    async def _fetch(self) -> bytes:
        """Return the next piece that is not empty, or nothing at the end."""
        self._fetching = asyncio.current_task()
        async for piece in self._pieces:
            if piece:
                return piece
        return b""
