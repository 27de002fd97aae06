"""Processes, as /proc tells of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def start_time(pid: int) -> str | None:
    """Return when a process started (clock ticks since boot); None when it is gone or only waits to be reaped."""
    fields = _status_fields(pid)
    return fields[19] if fields and fields[0] not in "ZX" else None


def is_stopped(pid: int) -> bool:
    """Check whether a process stands still because of SIGSTOP."""
    return _status_fields(pid)[:1] == ["T"]


def first_process(pids: Iterable[int]) -> int | None:
    """Find the first process of a host among the host's processes; None while there is none.

    It is number 1 of its process namespace; a pod's first process is so too, but deeper down.
    """
    firsts = [(len(numbers), pid) for pid in pids if len(numbers := _numbers(pid)) > 1 and numbers[-1] == "1"]
    return min(firsts)[1] if firsts else None


def _numbers(pid: int) -> list[str]:
    """List a process's numbers, from the reader's process namespace to its own."""
    lines = (line.split() for line in _read(pid, "status").splitlines())
    return next((numbers for name, *numbers in lines if name == "NSpid:"), [])


def _status_fields(pid: int) -> list[str]:
    """List the fields of /proc/PID/stat after the command's name, the state first; empty when the process is gone."""
    return _read(pid, "stat").rpartition(") ")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
