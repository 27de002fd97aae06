"""The one place where a text from outside loses what a terminal, a log or a reader could take for something else."""

from __future__ import annotations

from typing import Final

LINE_CHARACTERS: Final = 4000
"""What a line from outside may be long at most: a page of a terminal."""
_KNOWN: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    r"""Return a text as one line in which control and invisible characters are written as `\x1b` or `\u202e`.

    These are control characters (C0, C1), line separators, marks that change the direction of writing, halves of
    characters and whatever else Unicode calls not printable.
    """
    return text if text.isprintable() else "".join(one if one.isprintable() else _escaped(one) for one in text)


def excerpt(text: str, most: int = LINE_CHARACTERS) -> str:
    """Return the printable beginning of a text, with a mark where something was left out."""
    return printable(text) if len(text) <= most else f"{printable(text[:most])} …"


def _escaped(character: str) -> str:
    if character in _KNOWN:
        return _KNOWN[character]
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
