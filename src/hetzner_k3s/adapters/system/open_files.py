"""How many files and connections this process may have open at once."""

from __future__ import annotations

import contextlib
import resource
from typing import Final

_ENOUGH: Final = 4096
"""A connection to each of 1,000 hosts, and what goes through them. Many systems allow 1,024, macOS 256."""


def allow_open_files() -> None:
    """Raise this process's limit of open files as far as the system lets anybody.

    With too low a limit a host that could not be connected to for want of a file would be called silent.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _ENOUGH if hard == resource.RLIM_INFINITY else min(_ENOUGH, hard)
    if soft != resource.RLIM_INFINITY and soft < enough:
        with contextlib.suppress(OSError, ValueError):  # macOS has a second limit, that of the kernel
            resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
