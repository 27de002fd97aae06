"""What blocks, in a thread that nobody has to wait for: not who gave it up, and not the end of the program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Run a function in a thread of its own, and return what it returns.

    Who is cancelled leaves it to itself. The threads of a pool would be joined before the program ends: after Ctrl-C it
    stayed for minutes while a service said nothing.
    """
    outcome: Future[T] = Future()
    outcome.set_running_or_notify_cancel()  # from now on nobody but the thread settles it

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is handed on
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(outcome)
