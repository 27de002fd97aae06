"""What an unknown key may have been meant for: a near spelling, or the same name at another place of the file."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Final

from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.sections import section_at, walk
from hetzner_k3s.model.text.settings import KeyPath

_NEAR: Final = 0.6
_VERY_NEAR: Final = 0.85
"""Among all keys of the file, something near is soon found: it must be nearer than among those of one section."""
_MOST: Final = 2


def neighbour(path: KeyPath) -> str | None:
    """Return the key of the same section that was probably meant."""
    section = section_at(Configuration, path[:-1])
    known = list(section.model_fields) if section else []
    unknown = str(path[-1])[:60]
    near = difflib.get_close_matches(unknown, known, n=1, cutoff=_NEAR)
    longer = [name for name in known if len(unknown) > 3 and f"_{unknown}_" in f"_{name}_"]
    return next(iter([*near, *longer]), None)


def elsewhere(path: KeyPath, *, spelt: bool) -> list[str]:
    """Return the keys of other sections that were probably meant, `spelt` so or nearly so: at most two."""
    unknown = str(path[-1])[:60]
    names = {key.rpartition(".")[2] for key in _keys()}
    near = [unknown] if spelt else difflib.get_close_matches(unknown, sorted(names), n=1, cutoff=_VERY_NEAR)
    found = [key for key in _keys() if key.rpartition(".")[2] in near]
    found.sort(key=lambda key: (-_shared(path, key), key.count(".")))
    return found if len(found) <= _MOST else []


def in_words(path: KeyPath) -> str:
    """Return the hint behind "unknown key": empty where nothing is like it."""
    near = neighbour(path)
    found = elsewhere(path, spelt=True) or ([near] if near else elsewhere(path, spelt=False))
    places = " or ".join(f'"{key}"' for key in found)
    return f" (did you mean {places}?)" if places else ""


def _shared(path: KeyPath, key: str) -> int:
    """Count the sections that two keys have in common, from the root."""
    other = key.replace("[]", "").split(".")
    own = [part for part in path if isinstance(part, str)]
    return next((at for at, (a, b) in enumerate(zip(own, other, strict=False)) if a != b), min(len(own), len(other)))


@cache
def _keys() -> tuple[str, ...]:
    return tuple(key for key, _ in walk())
