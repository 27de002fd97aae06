"""What is to be done when a command has ended and its exit code is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Ending = Callable[[int], None]

_ENDINGS: ContextVar[list[Ending] | None] = ContextVar("_ENDINGS", default=None)


def at_end(ending: Ending) -> None:
    """Have something called with the exit code of the command that runs now."""
    if (endings := _ENDINGS.get()) is not None:
        endings.append(ending)


@contextmanager
def gathered() -> Iterator[list[Ending]]:
    """Gather the endings of one command; a command may be run in another one (`lab simulate`)."""
    endings: list[Ending] = []
    before = _ENDINGS.set(endings)
    try:
        yield endings
    finally:
        _ENDINGS.reset(before)
