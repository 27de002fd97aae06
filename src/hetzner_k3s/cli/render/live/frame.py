"""A picture of a run as lines of a terminal: one a server, as many as fit, and the bar below them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from rich.text import Text

from hetzner_k3s.cli.render.live.board import Picture, Row, counted
from hetzner_k3s.cli.render.tables import duration

_NAME, _PHASE, _SECONDS = 22, 11, 7
_BAR, _LEAST_BAR = 40, 8
_WORDS = 66
"""Room for what stands beside the bar: "59 min 59 s, about 59 min 59 s left; expected 59 min 59 s" fits."""
_AROUND = 3
"""Lines of a frame beside the servers': of the cluster, of the servers that are not shown, the bar."""


class Signs(NamedTuple):
    """The characters that a terminal has for the mark of the critical path, and for the bar."""

    mark: str = "▸"
    done: str = "━"
    left: str = "─"


ASCII = Signs(">", "#", "-")


def frame(picture: Picture, columns: int, lines: int, signs: Signs) -> list[Text]:
    """Return the lines of a frame; none is as wide as the terminal, and one line of it stays free."""
    width = columns - 1
    name = _width_of_names(picture)
    chosen = _chosen(picture.rows, max(1, lines - 1 - _AROUND))
    shown = [_line(row, name, width, signs) for i, row in enumerate(picture.rows) if i in chosen]
    if len(chosen) < len(picture.rows):
        hidden = [row for i, row in enumerate(picture.rows) if i not in chosen]
        shown.append(Text(_cut(f"  and {len(hidden)} more: {counted(hidden)}", width), "dim"))
    if picture.cluster is not None:
        shown.append(_line(picture.cluster, name, width, signs))
    if picture.left is not None:
        shown.append(_bar(picture, picture.left, width, signs))
    return shown


def _width_of_names(picture: Picture) -> int:
    names = [row.name for row in (*picture.rows, *([picture.cluster] if picture.cluster else ()))]
    return min(_NAME, max(map(len, names), default=0))


def _chosen(rows: Sequence[Row], most: int) -> Collection[int]:
    """Return which rows are shown, as many as fit: those that all wait for, then what failed, is late, or moves."""
    return set(sorted(range(len(rows)), key=lambda i: _weight(rows[i]), reverse=True)[:most])


def _weight(row: Row) -> tuple[bool, ...]:
    return row.critical, row.failed, row.late, row.moving


def _line(row: Row, name: int, width: int, signs: Signs) -> Text:
    seconds = f"{row.seconds:.0f} s"
    style = "red" if row.failed else "yellow" if row.late else "" if row.moving else "dim"
    line = Text(no_wrap=True)
    line.append(f"{signs.mark if row.critical else ' '} ", "bold cyan")
    line.append(f"{_cut(row.name, name):<{name}} ", "bold" if row.critical else "")
    line.append(f"{_cut(row.phase, _PHASE):<{_PHASE}}", style)
    line.append(f"{seconds:>{_SECONDS}}", style if row.late else "dim")
    left = width - len(line.plain) - 2
    if left > 0 and row.detail:
        line.append(f"  {_cut(row.detail, left)}")
    line.truncate(width)
    return line


def _cut(text: str, width: int) -> str:
    """Return what of a text fits, cut between words where it has any."""
    if len(text) <= width:
        return text
    words, space, _ = text[: width - 1].rpartition(" ")
    return f"{words} …" if space and words.strip() else f"{text[: width - 1]}…"


def _bar(picture: Picture, left: float, width: int, signs: Signs) -> Text:
    """Return the bar, of one width for the whole run, and in words what it stands for."""
    words = f" {picture.share:4.0%}  {_words(picture, left)}"
    room = min(_BAR, width - _WORDS)
    if room < _LEAST_BAR:
        return Text(_cut(f" {words}", width))
    done = round(room * picture.share)
    return Text.assemble(
        "  ", (signs.done * done, "cyan"), (signs.left * (room - done), "dim"), _cut(words, width - room - 2)
    )


def _words(picture: Picture, left: float) -> str:
    passed = f"{picture.elapsed:.0f} s" if picture.elapsed < 60 else duration(picture.elapsed)
    about = duration(max(5, 5 * round(left / 5)) if left < 120 else 10 * round(left / 10))
    longer = f"; expected {duration(round(picture.expected))}"
    return f"{passed}, about {about} left{longer if picture.is_late else ''}"
