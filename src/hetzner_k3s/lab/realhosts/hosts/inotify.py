"""The machine's limit of inotify instances: each systemd takes six, so 128 hang the 22nd host.

See docs/facts/lab.md#inotify.

The limit is the machine's, labs may be several: the first one up raises it, the last one down puts it back. Who is up
stands in a file below /run, which a reboot forgets together with the limit.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable
from pathlib import Path

_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
_USERS = Path("/run/hetzner-k3s-lab.json")
_ENOUGH = 8192


def raise_limit(lab: str, limit: Path = _LIMIT, users: Path = _USERS) -> None:
    """Make room for many hosts on behalf of a lab."""

    def enter(before: int | None, labs: list[str]) -> tuple[int, list[str]]:
        found = int(limit.read_text())
        if found < _ENOUGH:
            limit.write_text(str(_ENOUGH))
        return (found if before is None else before), sorted({*labs, lab})

    _change(users, enter)


def restore_limit(lab: str, limit: Path = _LIMIT, users: Path = _USERS) -> None:
    """Put the limit back when no other lab needs it; once more is success."""

    def leave(before: int | None, labs: list[str]) -> tuple[int | None, list[str]]:
        left = [each for each in labs if each != lab]
        if before is not None and not left:
            limit.write_text(str(before))
        return before, left

    _change(users, leave)


def _change(users: Path, change: Callable[[int | None, list[str]], tuple[int | None, list[str]]]) -> None:
    while True:
        descriptor = os.open(users, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not users.exists() or os.fstat(descriptor).st_ino != users.stat().st_ino:
                continue  # the last user removed the file while we waited for it
            text = file.read()
            before, labs = change(*(json.loads(text) if text else (None, [])))
            if not labs:
                users.unlink()
                return
            file.seek(0)
            file.truncate()
            json.dump([before, labs], file)
            return
