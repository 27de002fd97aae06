"""What is known of each refusal code: `refusals.json`, which tests/guides writes from the refusals themselves."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_NEAREST: Final = 3
_CUTOFF: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a refusal says in situations of a cluster `prod`; `when` names them, `settings` are the file's at fault."""

    when: tuple[str, ...]
    settings: tuple[str, ...]
    saw: str
    why: str
    you_can: str


def read() -> Mapping[str, Sequence[Example]]:
    """Return the examples of every code, in the order of the codes."""
    content = json.loads((files("hetzner_k3s.cli") / "refusals.json").read_text(encoding="utf-8"))
    return {code: tuple(map(_example, entries)) for code, entries in content.items()}


def _example(entry: Mapping[str, object]) -> Example:
    texts = {name: str(entry[name]) for name in ("saw", "why", "you_can")}
    return Example(when=_listed(entry["when"]), settings=_listed(entry["settings"]), **texts)


def _listed(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def nearest(code: str, known: Iterable[str]) -> list[str]:
    """Return the codes that a misspelt one, or a part of one, may have meant."""
    codes, asked = list(known), code.lower()
    containing = [one for one in codes if asked and asked in one]
    return (containing or difflib.get_close_matches(asked, codes, _NEAREST, _CUTOFF))[:_NEAREST]
