"""The one place where a text from outside loses what a terminal, a log or a reader could take for something else."""

from __future__ import annotations

import re
from typing import Final

_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1 controls: escape sequences, a bell, a line that somebody else did not write
    "\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # marks, bidi overrides, separators
    "\ud800-\udfff\U000e0000-\U000e007f]"  # halves of characters, which no file takes; invisible tags
)
LINE_CHARACTERS: Final = 4000
"""What a line from outside may be long at most: a page of a terminal."""


def printable(text: str) -> str:
    r"""Return a text as one line in which control and invisible characters are written as `\x1b` or `\u202e`."""
    return _UNPRINTABLE.sub(_escaped, text)


def excerpt(text: str, most: int = LINE_CHARACTERS) -> str:
    """Return the printable beginning of a text, with a mark where something was left out."""
    return printable(text) if len(text) <= most else f"{printable(text[:most])} …"


def _escaped(match: re.Match[str]) -> str:
    number = ord(match[0])
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(match[0])
    if known:
        return known
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
