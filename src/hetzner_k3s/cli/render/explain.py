"""Renders what is known of a refusal's code: its meaning, then situations with what was seen and what can be done."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final

from hetzner_k3s.cli.explanations import Example

_SHOWN: Final = 3
_WIDEST: Final = 100
_MARGIN: Final = 9


def explanation_lines(code: str, examples: Sequence[Example], *, whole: bool) -> Iterator[str]:
    """Render a code; of many situations the first ones, unless the `whole` is asked for."""
    shown = examples if whole else examples[:_SHOWN]
    yield code
    for number, why in enumerate(dict.fromkeys(example.why for example in examples)):
        yield from _paragraph("means" if number == 0 else "or", why)
    for example in shown:
        yield ""
        yield from _paragraph("when", "; or ".join(example.when))
        for setting in example.settings:
            yield from _paragraph("in file", setting)
        yield from _paragraph("saw", example.saw)
        yield from _paragraph("you can", example.you_can)
    if left := len(examples) - len(shown):
        yield ""
        yield f"{left} more of this code: hetzner-k3s explain {code} --all"


def _paragraph(label: str, text: str) -> list[str]:
    """Wrap a text beside its label; nothing breaks inside a word."""
    width = min(shutil.get_terminal_size().columns, _WIDEST) - 1
    first = f"{label + ':':>{_MARGIN - 1}} "
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=" " * _MARGIN,
        break_long_words=False,
        break_on_hyphens=False,
    )
