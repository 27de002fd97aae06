"""The part of the terminal that a run draws on: `rich` moves the cursor, this decides when, and in one piece."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, TextIO, cast

from rich.console import Console, ConsoleDimensions, Group
from rich.control import Control
from rich.live import Live
from rich.text import Text

from hetzner_k3s.cli.render.lines import coloured as with_colours
from hetzner_k3s.cli.render.lines import wrapped
from hetzner_k3s.cli.render.live.frame import ASCII, Signs

_KEPT = 200
"""How many lines above the frame are kept, to be written again when the terminal is resized."""
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
_UNKNOWN = ConsoleDimensions(80, 24)


class _InOnePiece:
    """Writes each piece as one update: a terminal that knows this shows no half of a frame, the others ignore it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.encoding = stream.encoding

    def write(self, text: str) -> int:
        return self._stream.write(f"{_BEGIN}{text}{_END}") if text else 0

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()


Draw = Callable[[int, int, Signs], Sequence[Text]]
"""Gives the lines of a frame for a number of columns and lines, and the signs that the terminal has."""


class Screen:
    """Shows one frame after the other at the same place, and lines above it that stay."""

    def __init__(self, stream: TextIO, *, coloured: bool) -> None:
        self._stream, self._coloured = stream, coloured
        self._signs = Signs() if "utf" in (stream.encoding or "").lower() else ASCII
        self._console = Console(
            file=cast(IO[str], _InOnePiece(stream)),
            force_terminal=True,
            force_interactive=True,
            color_system="standard" if coloured else None,  # named colours only: they are the terminal's own
            no_color=not coloured,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        self._above: deque[str] = deque(maxlen=_KEPT)
        self._live: Live | None = None
        self._drawn: list[str] = []
        self._console.size = self._measured()

    def show(self, draw: Draw) -> None:
        """Show a frame, where it is another one than that which is shown."""
        if (size := self._measured()) != self._console.size:
            self._resize(size, draw)
        lines = draw(size.width, size.height, self._signs)
        drawn = [line.markup for line in lines]
        if self._live is not None and drawn == self._drawn:
            return
        if self._live is None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")
            self._live.start()
        self._drawn = drawn
        self._live.update(Group(*lines), refresh=True)

    def above(self, line: str) -> None:
        """Write a line above the frame, which stays."""
        self._above.append(line)
        for text in self._fitted(line):
            self._console.print(text)

    def clear(self) -> None:
        """Take the frame away; the next one stands below what is written until then."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _fitted(self, line: str) -> list[Text]:
        first, *others = wrapped(line, self._console.size.width)
        return [Text.from_ansi(with_colours(first) if self._coloured else first), *map(Text, others)]

    def _resize(self, size: ConsoleDimensions, draw: Draw) -> None:
        """Begin anew on an empty screen: how a terminal has broken the old lines, nobody can know."""
        self.clear()
        self._console.size = size
        self._console.control(Control.clear(), Control.home())
        room = size.height - len(draw(size.width, size.height, self._signs)) - 1
        texts = [text for line in self._above for text in self._fitted(line)]
        for text in texts[-room:] if room > 0 else ():
            self._console.print(text)

    def _measured(self) -> ConsoleDimensions:
        try:
            width, height = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            return _UNKNOWN
        return ConsoleDimensions(width, height) if width and height else _UNKNOWN
