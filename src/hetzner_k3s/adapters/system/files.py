"""Files that must be whole, and readable by their owner alone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let a system error of a block name this file: a full disk names none, and a temporary file helps nobody."""
    try:
        yield
    except OSError as trouble:
        trouble.filename = str(path)
        raise


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically, mode 0600; a crash leaves the old one or the new one.

    A symbolic link is followed, so that a kubeconfig kept elsewhere stays where it is.
    """
    target = path.resolve()
    with naming(target):
        _replace(target, text)


def _replace(target: Path, text: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def kept_copy(path: Path, suffix: str) -> Path | None:
    """Copy a file beside itself (0600) as `NAME.SUFFIX`, or with a number behind; no earlier copy is overwritten.

    One that has the very same content is enough; None: there is no file.
    """
    try:
        content = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        return None
    for number in count(1):
        kept = path.with_name(f"{path.name}.{suffix}{'' if number == 1 else f'-{number}'}")
        if kept.exists() and kept.read_bytes() == content:
            return kept
        try:
            handle = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return kept
    return None


def make_private(folder: Path) -> None:
    """Make a folder and, as the XDG rules want it, all that is missing above it, mode 0700."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def append_private(path: Path, line: str) -> None:
    """Append a line to a file of mode 0600, and have it on the disk before returning."""
    with naming(path):
        make_private(path.parent)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
