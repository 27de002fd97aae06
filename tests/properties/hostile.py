"""Observations that are well typed and otherwise as hostile as they can be: any field of any fact holds an odd value.

Texts are what the edge lets through (`model.printable`); numbers are not bounded, and times may be no number at all.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import Any, Final

from hypothesis import strategies as st
from tests.decide import world as w
from tests.properties.quarrels import Quarrel, quarrels

from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.printable import printable

TEXTS: Final = (
    *("", " ", "-", "--", "0", "-1", "1", "9" * 400, "a" * 5000, ".", ":", "::1", "{}", "{0}", "%s%n", "\\x1b"),
    *("\u00b2", "\u0663", "\ufdfa", "\u0451\u0301"),
    *(
        "999.999.1.1",
        "10.0.0.300",
        "10.0.0.101",
        "10.0.0.0/33",
        "0.0.0.0/0",
        "fe80::1%eth0",
        "https://[::1",
        "https://",
    ),
    *("https://:99999", "hcloud://", "hcloud://-5", "hcloud://" + "9" * 40, "v1", "v1.x.3+k3s1", "v9.99.99+k3s99"),
    *("prod-master1", "prod-master2-0000", "prod-master0", "prod-master" + "9" * 30, "prod-pool-small-worker1", "born"),
    *("memberID:x alarm:CORRUPT", "alarm:NOSPACE", "start-x", "active", "auto-restart", w.CA, w.UID, "None"),
)
NUMBERS: Final = (0, 1, -1, 77, 101, 102, 2**31, 2**63, -(2**63), 10**30, -(10**30))
TIMES: Final = (0.0, -0.0, -1.0, 1.0, 1e9, 1e18, 1e308, -1e308, float("inf"), float("-inf"), float("nan"), w.NOW)

Path = tuple[Any, ...]


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _options(hint: Any, value: Any) -> tuple[type, ...]:
    """Return the plain types that a field may hold; of one whose type is a parameter those that it holds now."""
    members = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    plain = [m for m in members if isinstance(m, type) and (m in _PLAIN or issubclass(m, Enum))]
    return tuple(plain) or ((type(value),) if type(value) in _PLAIN else ())


_PLAIN: Final[dict[type, tuple[Any, ...]]] = {
    str: TEXTS,
    int: NUMBERS,
    float: TIMES,
    bool: (True, False),
    type(None): (None,),
}


def places(value: Any, hint: Any = None, path: Path = ()) -> Iterator[tuple[Path, tuple[type, ...]]]:
    """Walk every field of an observation: its path, and the types that it may hold (none: a tuple or a mapping)."""
    if isinstance(value, Secret):
        return
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from places(getattr(value, field.name), _hints(type(value)).get(field.name), (*path, field.name))
    elif isinstance(value, tuple):
        yield path, ()
        for at, item in enumerate(value):
            yield from places(item, None, (*path, at))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from places(item, None, (*path, _Key(key)))
    elif not isinstance(value, frozenset):
        yield path, _options(hint, value)


class _Key:
    """A key of a mapping in a path."""

    def __init__(self, key: Any) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"[{self.key!r}]"


def changed(value: Any, path: Path, new: Any) -> Any:
    """Return the same with another value at one place."""
    if not path:
        return new(value) if callable(new) else new
    first, *rest = path
    if isinstance(first, str):
        return replace(value, **{first: changed(getattr(value, first), tuple(rest), new)})
    if isinstance(first, _Key):
        if first.key not in value:
            return value  # an earlier change has taken it away
        return {**value, first.key: changed(value[first.key], tuple(rest), new)}
    return (*value[:first], changed(value[first], tuple(rest), new), *value[first + 1 :])


def _emptied(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return items[:0]


def _doubled(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*items, *items)


def _by_the_dozen(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return items * (40 // max(len(items), 1))


def _backwards(items: tuple[Any, ...]) -> tuple[Any, ...]:
    return items[::-1]


@st.composite
def hostile(draw: st.DrawFn) -> Quarrel:
    """Draw a world and put odd values into some of its fields."""
    world = draw(quarrels())
    state, told = world.state, []
    found = list(places(state))
    for at in draw(st.lists(st.integers(0, len(found) - 1), min_size=1, max_size=draw(st.sampled_from((2, 10, 40))))):
        path, options = found[at]
        new = draw(_value(options))
        with suppress(IndexError):  # a list on the way there has become shorter
            state = changed(state, path, new)
            told.append(f"{path} = {new!r}"[:200])
    return replace(world, state=state, told=f"{world.told}; {'; '.join(told)}")


def _value(options: tuple[type, ...]) -> st.SearchStrategy[Any]:
    if not options:
        return st.sampled_from([_emptied, _doubled, _by_the_dozen, _backwards])
    return st.one_of([_of(kind) for kind in options])


def _of(kind: type) -> st.SearchStrategy[Any]:
    if issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if kind is str:
        return st.one_of(st.sampled_from(TEXTS), st.text(max_size=12).map(printable))
    return st.sampled_from(_PLAIN[kind])
