"""k3s' log lines: logrus' text format on stderr, which is what the journal of a host shows."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable

_BARE = re.compile(r"[A-Za-z0-9\-._/@^+]+")


Log = Callable[[str, str], None]
"""Takes a text and logrus' word for its level: this process' stderr, or a simulated host's journal."""


class Fatal(Exception):
    """k3s gives up with a fatal line and exit code 1; systemd starts it again after 5 s."""


class ShutdownRequested(Exception):
    """k3s stops itself with exit code 0 (before READY systemd calls that a protocol failure)."""


def render(level: str, message: str, fields: dict[str, str], at: float) -> str:
    """Format one line.

    Args:
        level: logrus' word: info, warning, error, fatal.
        message: the text; quoted only when logrus would quote it.
        fields: further key=value pairs, sorted by key.
        at: seconds since the epoch.
    """
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
    pairs = "".join(f" {key}={_quote(value)}" for key, value in sorted(fields.items()))
    return f'time="{stamp}" level={level} msg={_quote(message)}{pairs}'


def _quote(value: str) -> str:
    return value if _BARE.fullmatch(value) else json.dumps(value, ensure_ascii=False)


def _write(level: str, message: str, fields: dict[str, str]) -> None:
    sys.stderr.write(render(level, message, fields, time.time()) + "\n")
    sys.stderr.flush()


def write(message: str, level: str = "info") -> None:
    """Print a line without fields (a `Log`)."""
    _write(level, message, {})


def info(message: str, **fields: str) -> None:
    """Print an info line."""
    _write("info", message, fields)


def warning(message: str, **fields: str) -> None:
    """Print a warning line."""
    _write("warning", message, fields)


def error(message: str, **fields: str) -> None:
    """Print an error line."""
    _write("error", message, fields)


def fatal(message: str) -> None:
    """Print the last line of a process that exits with code 1."""
    _write("fatal", message, {})
