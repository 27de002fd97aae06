"""What blocks in a thread: its result or error is handed on, and nobody waits for what was given up."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from hetzner_k3s.adapters.threads import in_thread


def test_what_a_thread_returns_or_raises_is_handed_on() -> None:
    assert asyncio.run(in_thread(threading.current_thread)) is not threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(lambda: 1 // 0))


def test_a_program_ends_though_a_thread_of_it_waits_for_ever() -> None:
    """Seen: after Ctrl-C `snapshots` stayed for minutes, since its S3 service said nothing."""
    program = (
        "import asyncio, threading\n"
        "from hetzner_k3s.adapters.threads import in_thread\n"
        "asyncio.run(asyncio.wait_for(in_thread(threading.Event().wait), 0.1))\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    assert ended.stderr.endswith("TimeoutError\n")


def test_what_ends_after_it_was_given_up_is_forgotten(capfd: pytest.CaptureFixture[str]) -> None:
    given_up, ended = threading.Event(), threading.Event()

    def work() -> None:
        given_up.wait(10)
        ended.set()
        raise OSError("too late")

    async def story() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(in_thread(work), 0.05)
        given_up.set()
        ended.wait(10)
        await asyncio.sleep(0.05)

    asyncio.run(story())
    assert capfd.readouterr() == ("", "")
