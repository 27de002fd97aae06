"""An event loop whose time jumps to the next deadline when nothing is ready: waiting costs nothing."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = 1_750_000_000.0
"""The wall-clock time (UNIX seconds) at which every simulation begins."""


class Deadlock(RuntimeError):
    """Nothing is ready and nothing is scheduled: everybody waits for somebody else, for ever."""


class _Jumps(selectors.BaseSelector):
    """Watches no files: being asked to wait, it lets that time have passed."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._files: dict[Any, selectors.SelectorKey] = {}

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is scheduled")
        self.seconds += max(0.0, timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        number = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        self._files[fileobj] = key = selectors.SelectorKey(fileobj, number, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._files.pop(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._files


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, for code without real I/O."""

    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        """Return the virtual seconds."""
        return self._jumps.seconds


class LoopClock:
    """`ports.Clock` on the running loop; `skew` is how many seconds this machine's wall clock is ahead."""

    def __init__(self, skew: float = 0.0) -> None:
        self.skew = skew

    def now(self) -> float:
        """Return the wall-clock time as UNIX seconds."""
        return EPOCH + self.skew + self.monotonic()

    def monotonic(self) -> float:
        """Return seconds since the simulation began."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await asyncio.sleep(seconds)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end on virtual time.

    Raises:
        Deadlock: it can never end.
    """
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(work)
