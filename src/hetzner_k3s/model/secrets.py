"""A value that must not appear in a plan, a log, an error text or a traceback.

See docs/architecture.md#law-8.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

MASK: Final = "********"

_SHORTEST: Final = 8
"""Characters: a shorter text stands in sentences that mean something else."""
_KNOWN_MOST: Final = 1000
"""A run knows a few dozen; the soak's simulations make new ones all day."""
_FULL_TOKEN: Final = re.compile(r"K10[0-9a-f]{64}::[^:\s]+:(\S+)")
_SHAPES: Final = (
    re.compile(r"(K10[0-9a-f]{64}::[^:\s]+:)[^\s'\",\\]+"),
    re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL),
)
"""What is a secret by its looks, whoever's: a host may say its token without having been asked."""
_NAMED: Final = re.compile(
    r"^\s*-?\s*[\w.-]*(?:token|password|secret|key|key-data|datastore-endpoint)\s*[:=]\s*[\"']?([^\s\"']+)",
    re.MULTILINE | re.I,
)
_PACKED: Final = re.compile(r"^[A-Za-z0-9+/=_-]{32,}$", re.MULTILINE)
_KNOWN: dict[str, None] = {}
"""The texts, and parts of texts, that `masked` looks for: every secret of this process, the latest last."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text whose `repr` and `str` are masked; equal secrets compare equal.

    `_value` is the text itself. It leaves only through `reveal()`, so that every use can be found by that word.
    """

    _value: str = field(repr=False)

    def __post_init__(self) -> None:
        """Remember the text for `masked`."""
        for part in _parts(self._value):
            _KNOWN.pop(part, None)
            _KNOWN[part] = None
        while len(_KNOWN) > _KNOWN_MOST:
            del _KNOWN[next(iter(_KNOWN))]

    def reveal(self) -> str:
        """Return the text; call it only where the value is handed to its one rightful reader."""
        return self._value

    def __bool__(self) -> bool:
        """Check whether there is a value at all."""
        return bool(self._value)

    def __str__(self) -> str:
        """Return the mask, so that f-strings are harmless."""
        return MASK

    def __repr__(self) -> str:
        """Return the mask, so that dataclass reprs and assertion messages are harmless."""
        return f"Secret({MASK!r})"


def masked(text: str, *more: str) -> str:
    """Return a text without any secret that this process knows, or that is one by its looks.

    It is the last line of defence, where a text leaves the process; a part that was cut off has no looks any more.

    Args:
        text: what is to be shown or written down.
        more: further texts that are secret.
    """
    own = (part for secret in more for part in _parts(secret))
    for part in sorted({*_KNOWN, *own}, key=len, reverse=True):
        text = text.replace(part, MASK)
    for shape in _SHAPES:
        text = shape.sub(rf"\1{MASK}", text)
    return text


def _parts(secret: str) -> Iterator[str]:
    """Return the whole text, and what of it is a secret by itself: a token's password, keys in a file of many lines."""
    whole = secret.strip()
    found = [whole, *_FULL_TOKEN.findall(whole)]
    if "\n" in whole:
        found += [*_NAMED.findall(whole), *_PACKED.findall(whole)]
    return (part for part in found if len(part) >= _SHORTEST)
