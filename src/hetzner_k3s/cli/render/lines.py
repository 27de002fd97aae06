"""How a line of text stands on a terminal: wrapped between words below its own text, its label coloured."""

from __future__ import annotations

import re
from typing import Final

_LABEL: Final = re.compile(
    r"(?P<time> *\d+\.\ds )(?P<name>\S+ +)"
    r"|(?P<label> *(?:error|refused|degraded|differs|note|why|you can|code|servers|time|next|explain|transcript)): +"
    r"|(?P<number> *\d+\. +)"
    r"|(?P<health>health  )"
    r"|(?P<margin> +)"
)
"""What a line begins with; the rest of it is wrapped below the rest."""

_COLOURS: Final = {
    "error": "red",
    "refused": "red",
    "degraded": "yellow",
    "differs": "yellow",
    "you can": "cyan",
    "next": "cyan",
}
_WORDS: Final = {
    "failed": "red",
    "trying again": "yellow",
    "healthy": "green",
    "no-quorum": "red",
    "split": "red",
    "unknown": "yellow",
    "up to date": "green",
    "is Ready": "green",
    "is a voter": "green",
}
"""Words that are coloured where the text after a time, a name or a heading begins with them."""
_NARROW: Final = 30
"""Below so many columns for the text it is not wrapped below itself."""


def wrapped(line: str, columns: int | None) -> list[str]:
    """Return a line as those that fit into `columns`; a word that is wider stays whole."""
    if columns is None or len(line) <= columns:
        return [line]
    import textwrap

    lead = _LABEL.match(line)
    indent = len(lead[0]) if lead else 2
    if " " not in line[indent:]:
        return [line]  # a path alone is as wide on a line of its own
    if columns - indent < _NARROW:
        indent = 2
    return textwrap.wrap(
        line,
        width=columns,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    ) or [line]


def coloured(line: str) -> str:
    """Return a line with what it begins with coloured: a time, a label, the verdict of a heading."""
    lead = _LABEL.match(line)
    if lead is None:
        return line
    head, rest = lead[0], line[lead.end() :]
    if lead["label"]:
        return _styled(head, _COLOURS.get(lead["label"].strip(), "")) + rest
    if lead["time"]:
        return _styled(lead["time"], "") + lead["name"] + _beginning(rest)
    return head + (_beginning(rest) if lead["health"] else rest)


def _beginning(text: str) -> str:
    word = next((word for word in _WORDS if text.startswith(word)), None)
    return text if word is None else _styled(word, _WORDS[word]) + text[len(word) :]


def _styled(text: str, colour: str) -> str:
    """Colour a text; one without a colour is faint."""
    import click

    return click.style(text, fg=colour, bold=True) if colour else click.style(text, dim=True)
