"""Runs a program to its end: wall seconds, its own processor seconds, its peak memory, and how busy the machine was."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from dataclasses import dataclass

from bench import machine


@dataclass(frozen=True, slots=True)
class Timed:
    """How a program ran; `code` None: it did not end in time and was killed."""

    code: int | None
    began: float
    wall: float
    cpu: float
    peak_mib: float
    busy: float


def timed(process: subprocess.Popen[str], seconds: float) -> Timed:
    """Wait for a program that was just started, at most so long.

    Its children count as far as it waited for them.
    """
    before, began = machine.moment(), time.time()
    late = threading.Timer(seconds, process.kill)
    late.start()
    _, status, usage = os.wait4(process.pid, 0)
    in_time = late.is_alive()
    late.cancel()
    after = machine.moment()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Timed(
        code=process.returncode if in_time else None,
        began=began,
        wall=after.at - before.at,
        cpu=usage.ru_utime + usage.ru_stime,
        peak_mib=usage.ru_maxrss / 1024,
        busy=after.cores_since(before),
    )
