"""Documents from outside: JSON whose fields have the type that is expected of them, or that is said to be malformed.

Nothing of a document is quoted in an error, since it may hold a secret: only the names of its fields are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.model.text.dates import moment_of
from hetzner_k3s.model.text.printable import excerpt, printable

_WHOLE_MOST: Final = 2**63 - 1
_DIGITS_MOST: Final = 20
"""Of 2^64 - 1, the greatest number that etcd prints."""
_KINDS: Final[Mapping[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    type(None): "null",
}


class Malformed(ValueError):
    """What came from outside is not the document that was asked for."""


def parse(text: str | bytes) -> object:
    """Read JSON.

    Raises:
        Malformed: it is none, a name stands twice in an object, or it holds NaN, or goes deeper than can be read.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except Malformed:
        raise
    except ValueError:  # also bytes that are no text, and a number of more digits than Python reads
        raise Malformed("it is no JSON") from None
    except RecursionError:
        raise Malformed("it is nested too deeply") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise Malformed("a name stands twice in one object")
    return read


def _no_number(_: str) -> object:
    raise Malformed("it holds a number that is none")


@dataclass(frozen=True, slots=True)
class Document:
    """An object from outside; each reader returns a field of its type, or raises `Malformed`.

    Args:
        fields: what it holds.
        path: where it lies in the whole answer, for the error.
    """

    fields: Mapping[str, object]
    path: str = ""

    @classmethod
    def of(cls, value: object, path: str = "") -> Document:
        """Return a value as a document."""
        if not isinstance(value, dict):
            raise _other(path or "the answer", value, "an object")
        return cls(value, path)

    @classmethod
    def parsed(cls, text: str | bytes) -> Document:
        """Read JSON that must be an object."""
        return cls.of(parse(text))

    def __contains__(self, name: str) -> bool:
        """Check whether a field is there and not null."""
        return self.fields.get(name) is not None

    def text(self, name: str) -> str:
        """Return a text as a printable line."""
        return _text(self._at(name), self.fields.get(name))

    def raw_text(self, name: str) -> str:
        """Return a text as it is, for what is decoded or handed on, never shown."""
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise _other(self._at(name), value, "a text")
        return value

    def text_or(self, name: str, default: str = "") -> str:
        """Return a text, or the default where it is missing or null."""
        return self.text(name) if name in self else default

    def optional_text(self, name: str) -> str | None:
        """Return a text, or None where it is missing or null."""
        return self.text(name) if name in self else None

    def whole(self, name: str) -> int:
        """Return a whole number from 0 to 2^63 - 1."""
        return _whole(self._at(name), self.fields.get(name))

    def whole_or(self, name: str, default: int = 0) -> int:
        """Return a whole number, or the default where it is missing or null."""
        return self.whole(name) if name in self else default

    def decimal(self, name: str, default: int | None = None) -> int:
        """Return a whole number that is written as a text of digits, as protobuf's JSON does."""
        if default is not None and name not in self:
            return default
        return decimal(self.raw_text(name), self._at(name))

    def number(self, name: str) -> float:
        """Return a finite number, written as one or as a text."""
        value = self.fields.get(name)
        if isinstance(value, str):
            return seconds(value, self._at(name))
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _other(self._at(name), value, "a number")
        return _finite(self._at(name), value)

    def moment(self, name: str) -> float:
        """Return a moment, written as a text, as UNIX seconds."""
        read = moment_of(self.text(name))
        if read is None:
            raise Malformed(f"{_name(self._at(name))} is no moment")
        return read

    def flag(self, name: str) -> bool:
        """Return true or false."""
        value = self.fields.get(name)
        if not isinstance(value, bool):
            raise _other(self._at(name), value, "true or false")
        return value

    def flag_or(self, name: str, default: bool = False) -> bool:
        """Return true or false, or the default where it is missing or null."""
        return self.flag(name) if name in self else default

    def child(self, name: str) -> Document:
        """Return an object."""
        return Document.of(self.fields.get(name), self._at(name))

    def child_or_empty(self, name: str) -> Document:
        """Return an object, an empty one where it is missing or null."""
        return self.child(name) if name in self else Document({}, self._at(name))

    def children(self, name: str) -> tuple[Document, ...]:
        """Return a list of objects."""
        return tuple(Document.of(item, f"{self._at(name)}[{i}]") for i, item in enumerate(self._items(name)))

    def children_or_none(self, name: str) -> tuple[Document, ...]:
        """Return a list of objects, an empty one where it is missing or null."""
        return self.children(name) if name in self else ()

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts, an empty one where it is missing or null."""
        items = self._items(name) if name in self else ()
        return tuple(_text(f"{self._at(name)}[{i}]", item) for i, item in enumerate(items))

    def wholes(self, name: str) -> tuple[int, ...]:
        """Return a list of whole numbers."""
        return tuple(_whole(f"{self._at(name)}[{i}]", item) for i, item in enumerate(self._items(name)))

    def text_map(self, name: str) -> dict[str, str]:
        """Return an object whose values are texts, an empty one where it is missing or null."""
        child = self.child_or_empty(name)
        return {printable(key): child.text(key) for key in child.fields}

    def _items(self, name: str) -> Sequence[object]:
        value = self.fields.get(name)
        if not isinstance(value, list):
            raise _other(self._at(name), value, "a list")
        return value

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def decimal(text: str, path: str) -> int:
    """Read a whole number of at most 20 ASCII digits."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MOST):
        raise Malformed(f"{_name(path)} is not a whole number")
    return int(text)


def server_number(text: str) -> int | None:
    """Read a server id that a label or an annotation notes; None where it is none, such as one of 5000 digits."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS_MOST else None


def seconds(text: str, path: str) -> float:
    """Read a finite number that is written as a text."""
    try:
        return _finite(path, float(text))
    except ValueError:
        raise Malformed(f"{_name(path)} is not a number") from None


def _text(path: str, value: object) -> str:
    if not isinstance(value, str):
        raise _other(path, value, "a text")
    return printable(value)


def _whole(path: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise _other(path, value, "a whole number")
    if not 0 <= value <= _WHOLE_MOST:
        raise Malformed(f"{_name(path)} is out of range")
    return value


def _finite(path: str, value: float) -> float:
    try:
        read = float(value)
    except OverflowError:
        read = math.inf
    if not math.isfinite(read):
        raise Malformed(f"{_name(path)} is out of range")
    return read


def _other(path: str, value: object, wanted: str) -> Malformed:
    return Malformed(f"{_name(path)} is {_KINDS.get(type(value), 'something else')}, not {wanted}")


def _name(path: str) -> str:
    return excerpt(path, 200)
