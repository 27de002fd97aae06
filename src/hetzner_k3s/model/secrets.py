"""A value that must not appear in a plan, a log, an error text or a traceback (ARCHITECTURE law 8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

MASK: Final = "********"


@dataclass(frozen=True, slots=True)
class Secret:
    """A text whose `repr` and `str` are masked; equal secrets compare equal.

    `_value` is the text itself. It leaves only through `reveal()`, so that every use can be found by that word.
    """

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Give the text; call it only where the value is handed to its one rightful reader."""
        return self._value

    def __bool__(self) -> bool:
        """Tell whether there is a value at all."""
        return bool(self._value)

    def __str__(self) -> str:
        """Give the mask, so that f-strings are harmless."""
        return MASK

    def __repr__(self) -> str:
        """Give the mask, so that dataclass reprs and assertion messages are harmless."""
        return f"Secret({MASK!r})"
