"""The scripts in `scripts/`, as texts: static POSIX sh that a stock Debian or Ubuntu runs.

What differs between two runs of an operation are its positional arguments and its stdin, never the script.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

_LOOKS_AT_THE_HOST = frozenset(
    {
        *("probe", "await_k3s", "hold_k3s", "fence_member", "reset_cluster", "write_ca_pin"),
        *("restore_snapshot", "receive_snapshot", "tell_snapshots", "restart_birth"),
    }
)

_READS_ETCD_FILES = frozenset({"tell_snapshots", "read_stored_uid"})


@cache
def script(name: str) -> str:
    """Return the file `scripts/<name>.sh` as it is."""
    return files(__package__).joinpath("scripts", f"{name}.sh").read_text(encoding="utf-8")


@cache
def operation_script(name: str) -> str:
    """Return an operation's complete script: what all share, then its own lines."""
    facts = (script("facts"),) if name in _LOOKS_AT_THE_HOST else ()
    of_files = (script("etcd_files"),) if name in _READS_ETCD_FILES else ()
    return "\n".join((script("prelude"), *facts, *of_files, script(name)))
