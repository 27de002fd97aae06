"""What a host or an API may send: any bytes, any JSON, and right answers with something wrong in them."""

from __future__ import annotations

import copy
import dataclasses
import enum
import json
import types
from collections.abc import Iterator, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

Json = Any

NUMBERS = st.one_of(st.integers(), st.floats(), st.just(10**400), st.just(-1), st.just(2**64), st.just(1e400))
TEXTS = st.one_of(st.text(), st.sampled_from(["\x1b[2J", "\ud800", "\u202e", "a\nb", "9" * 30, "", " ", "-", "="]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)

INSTANCES = [
    b"5",
    b"{}",
    b"[]",
    b"null",
    b"true",
    b'"text"',
    b"",
    b"\xff\xfe",
    b"[" * 200_000,
    b'{"result":' * 50_000,
    b'{"result":' + b"9" * 5000 + b"}",
    b'{"result":NaN}',
    b'{"result":-Infinity}',
    b'{"result":1e999}',
    b'{"error":"failed"}',
    b'{"error":5,"message":"x"}',
    b'{"error":"failed","message":null}',
    b'{"error":{"a":1},"message":[]}',
    b'{"result":{},"result":{}}',
    b'{"result":"\\ud800"}',
    b'{"result":{"segments":["H4sIAAAAAAAA"]}}',
    b'{"result":{"base64":"\xc3\xa4"}}',
]
"""What was seen to end every command with a bug report, and its kind."""


def paths(value: Json, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the way to every value in a document."""
    yield at
    if isinstance(value, dict):
        for name in value:
            yield from paths(value[name], (*at, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from paths(item, (*at, index))


def replaced(document: Json, path: tuple[Any, ...], value: Json) -> Json:
    """Return a copy with another value at one place."""
    if not path:
        return value
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return changed


def without(document: Json, path: tuple[Any, ...]) -> Json:
    """Return a copy without one field."""
    if not path:
        return None
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    del place[path[-1]]
    return changed


@st.composite
def nearly(draw: st.DrawFn, document: Json) -> Json:
    """A right document with one value replaced, or one field missing."""
    path = draw(st.sampled_from(list(paths(document))))
    return without(document, path) if draw(st.booleans()) else replaced(document, path, draw(VALUES))


def sent(document: Json) -> bytes:
    """Return a document as it comes over a wire, NaN, halves of characters and all."""
    return json.dumps(document).encode()


def assert_typed(value: object, kind: Any, at: str = "result") -> None:
    """Hold a value against the type that it is declared to have, to the last field."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any or kind is object:
        return
    if origin in (Union, types.UnionType):
        assert any(_fits(value, one, at) for one in arguments), f"{at}: {type(value).__name__} is none of {kind}"
    elif origin is tuple:
        assert isinstance(value, tuple), at
        for item in value:
            assert_typed(item, arguments[0], at)
    elif origin is not None and issubclass(origin, Mapping):
        assert isinstance(value, Mapping), at
        for key, item in value.items():
            assert_typed(key, arguments[0], at)
            assert_typed(item, arguments[1], at)
    elif origin is not None:
        assert isinstance(value, origin), at
    else:
        assert type(value) is kind or (isinstance(value, kind) and kind not in (int, float, str, bool)), (
            f"{at}: {type(value).__name__}, not {kind.__name__}"
        )
        if dataclasses.is_dataclass(value) and not isinstance(value, enum.Enum):
            hints = get_type_hints(type(value))
            for one in dataclasses.fields(value):
                assert_typed(getattr(value, one.name), hints[one.name], f"{at}.{one.name}")


def _fits(value: object, kind: Any, at: str) -> bool:
    try:
        assert_typed(value, kind, at)
    except AssertionError:
        return False
    return True
