"""A terminal for tests: a command runs on it (a real pty), and what a person would see is read from it (pyte)."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("pyte", reason="pyte is not installed here: scripts/setup brings what `dev` declares")
import pyte

FRAME_ENDS = b"\x1b[?2026l"
"""What the display writes behind each piece that belongs together."""
_PATIENCE = 120.0


def set_size(handle: int, columns: int, lines: int) -> None:
    """Give a terminal another size, as a window that is resized does."""
    fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))


class Emulator:
    """The screen of a terminal, as its user sees it, with what has left it at the top."""

    def __init__(self, columns: int, lines: int) -> None:
        self.screen = pyte.HistoryScreen(columns, lines, history=5000, ratio=0.5)
        self.stream = pyte.ByteStream(self.screen)

    def feed(self, written: bytes) -> None:
        """Take what was written to the terminal."""
        self.stream.feed(written)

    def resize(self, columns: int, lines: int) -> None:
        """Take another size; as in xterm, lines that were written are cut, not broken anew."""
        self.screen.resize(lines, columns)

    @property
    def lines(self) -> list[str]:
        """Return what is on the screen, without the empty lines at its end."""
        shown = [line.rstrip() for line in self.screen.display]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    @property
    def text(self) -> str:
        """Return the screen as one text."""
        return "\n".join(self.lines)

    @property
    def scrolled_off(self) -> list[str]:
        """Return what has left the screen at its top."""
        return ["".join(row[x].data for x in range(self.screen.columns)).rstrip() for row in self.screen.history.top]

    @property
    def colours(self) -> set[str]:
        """Return the colours of what is on the screen."""
        return {cell.fg for row in self.screen.buffer.values() for cell in row.values()}


@dataclass
class Watched:
    """A command that ran on a terminal: each frame that it showed, the last screen, and what went to a pipe."""

    emulator: Emulator
    code: int = 0
    frames: list[list[str]] = field(default_factory=list)
    written: bytes = b""
    out: str = ""


def watch(
    command: Sequence[str],
    size: tuple[int, int],
    *,
    given: str = "",
    cwd: Path,
    environment: Mapping[str, str],
    resized: tuple[int, tuple[int, int]] | None = None,
    interrupted: int | None = None,
) -> Watched:
    """Run a command with stderr on a terminal and stdin and stdout in pipes, and watch until it has ended.

    Args:
        command: what is run.
        size: columns and lines of the terminal.
        given: what it reads from stdin.
        cwd, environment: where it runs.
        resized: after how many frames the terminal gets which size.
        interrupted: after how many frames it gets a SIGINT.
    """
    ours, theirs = pty.openpty()
    set_size(ours, *size)
    watched = Watched(Emulator(*size))
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=theirs, cwd=cwd, env=dict(environment)
    ) as process:
        os.close(theirs)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(given.encode())
        process.stdin.close()
        for piece in _pieces(ours):
            watched.written += piece
            watched.emulator.feed(piece)
            watched.frames.append(watched.emulator.lines)
            if resized is not None and len(watched.frames) == resized[0]:
                set_size(ours, *resized[1])
                watched.emulator.resize(*resized[1])
            if len(watched.frames) == interrupted:
                process.send_signal(2)
        watched.out = process.stdout.read().decode()
        watched.code = process.wait(_PATIENCE)
    os.close(ours)
    return watched


def converse(
    command: Sequence[str], size: tuple[int, int], *answers: str, cwd: Path, environment: Mapping[str, str]
) -> Watched:
    """Run a command wholly on a terminal, and type the next answer whenever it has asked (`…: ` or `…> `)."""
    ours, theirs = pty.openpty()
    set_size(ours, *size)
    watched, left = Watched(Emulator(*size)), list(answers)
    with subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=dict(environment), start_new_session=True
    ) as process:
        os.close(theirs)
        while select.select([ours], [], [], _PATIENCE)[0] and (read := _read(ours)):
            watched.written += read
            watched.emulator.feed(read)
            if left and watched.written.endswith((b": ", b"> ")):
                os.write(ours, f"{left.pop(0)}\n".encode())
        watched.code = process.wait(_PATIENCE)
    os.close(ours)
    assert not left, f"{left} was never asked for"
    return watched


def _pieces(handle: int) -> Iterator[bytes]:
    """Read what is written to a terminal until nobody has it open any more, a frame at a time."""
    rest, ends = b"", time.monotonic() + _PATIENCE
    while time.monotonic() < ends:
        readable, _, _ = select.select([handle], [], [], _PATIENCE)
        read = _read(handle) if readable else b""
        *whole, rest = (rest + read).split(FRAME_ENDS)
        yield from (piece + FRAME_ENDS for piece in whole)
        if not read:
            break
    yield rest


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 65536)
    except OSError as ended:
        if ended.errno == errno.EIO:  # Linux says so when the last one has closed its end
            return b""
        raise
