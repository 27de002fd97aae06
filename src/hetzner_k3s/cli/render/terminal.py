"""What is known of the streams that a command writes to: whether they are a terminal, how wide, and coloured or not."""

from __future__ import annotations

import os
from contextvars import ContextVar
from typing import Final, TextIO

AUTO, ALWAYS, NEVER = "auto", "always", "never"

_CHOICE: Final[ContextVar[str]] = ContextVar("_CHOICE", default=AUTO)
"""What `--color` says in this process."""


def choose_colour(choice: str) -> None:
    """Take what `--color` says: `auto`, `always` or `never`."""
    _CHOICE.set(choice)


def is_terminal(stream: TextIO) -> bool:
    """Check whether a stream leads to a terminal on which the cursor can be moved."""
    return is_tty(stream) and os.environ.get("TERM") != "dumb"


def is_coloured(stream: TextIO) -> bool:
    """Check whether colours are wanted: the option decides, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    if (choice := _CHOICE.get()) != AUTO:
        return choice == ALWAYS
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


def columns(stream: TextIO) -> int | None:
    """Return the width of the terminal; None where lines need not fit: in a pipe or a file."""
    if not is_tty(stream):
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def is_tty(stream: TextIO) -> bool:
    """Check whether a stream is a terminal."""
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False
