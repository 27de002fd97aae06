"""Labels and label selectors (docs/facts/hetzner-api.md#labels; Kubernetes semantics)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
_DNS = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*"
_KEY = re.compile(rf"(?:(?P<prefix>{_DNS})/)?{_NAME}\Z", re.ASCII)
_VALUE = re.compile(rf"(?:{_NAME})?\Z", re.ASCII)
_TOKEN = re.compile(rf"\s*(?:(?P<op>==|!=|=|!|,|\(|\))|(?P<word>(?:{_DNS}/)?{_NAME}))\s*", re.ASCII)
_RESERVED_PREFIX = "hetzner.cloud"
_PREFIX_LENGTH = 253


class SelectorSyntaxError(ValueError):
    """A selector that cannot be read."""


def is_valid_key(key: str) -> bool:
    """Check whether a label may have this key."""
    match = _KEY.match(key)
    if match is None:
        return False
    prefix = match["prefix"] or ""
    return len(prefix) <= _PREFIX_LENGTH and prefix != _RESERVED_PREFIX


def is_valid_value(value: object) -> bool:
    """Check whether a label may have this value (at most 63 characters, may be empty)."""
    return isinstance(value, str) and _VALUE.match(value) is not None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition of a selector; `values` is empty for `exists` and `absent`."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Check whether labels meet the condition; `ne` and `notin` also hold when the key is absent."""
        value = labels.get(self.key)
        match self.operator:
            case "exists":
                return value is not None
            case "absent":
                return value is None
            case "eq" | "in":
                return value is not None and value in self.values
            case _:
                return value is None or value not in self.values


@dataclass(frozen=True, slots=True)
class Selector:
    """A conjunction of requirements."""

    requirements: tuple[Requirement, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Check whether labels meet all requirements."""
        return all(requirement.matches(labels) for requirement in self.requirements)


def parse_selector(text: str) -> Selector:
    """Read `k=v`, `k==v`, `k!=v`, `k`, `!k`, `k in (a,b)`, `k notin (a,b)`, joined by commas.

    Raises:
        SelectorSyntaxError: the text is none of these.
    """
    reader = _Reader(_tokens(text))
    requirements = [reader.requirement()]
    while not reader.at_end():
        reader.expect(",")
        requirements.append(reader.requirement())
    return Selector(tuple(requirements))


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise SelectorSyntaxError(f"unexpected text at {text[position:]!r}")
        tokens.append(("op", match["op"]) if match["op"] else ("word", match["word"]))
        position = match.end()
    return tokens


class _Reader:
    """Reads requirements from tokens."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0

    def at_end(self) -> bool:
        return self._position == len(self._tokens)

    def requirement(self) -> Requirement:
        if self._take("op", "!"):
            return Requirement(self._key(), "absent")
        key = self._key()
        for operator, name in (("=", "eq"), ("==", "eq"), ("!=", "ne")):
            if self._take("op", operator):
                return Requirement(key, name, (self._value(),))
        for name in ("in", "notin"):
            if self._take("word", name):
                return Requirement(key, name, self._set())
        return Requirement(key, "exists")

    def expect(self, operator: str) -> None:
        if not self._take("op", operator):
            raise SelectorSyntaxError(f"expected {operator!r}")

    def _set(self) -> tuple[str, ...]:
        self.expect("(")
        values = [self._value()]
        while self._take("op", ","):
            values.append(self._value())
        self.expect(")")
        return tuple(values)

    def _key(self) -> str:
        word = self._word()
        if word is None:
            raise SelectorSyntaxError("expected a key")
        return word

    def _value(self) -> str:
        """An absent word is the empty value, as in `k=`."""
        word = self._word() or ""
        if not is_valid_value(word):
            raise SelectorSyntaxError(f"{word!r} cannot be the value of a label")
        return word

    def _word(self) -> str | None:
        if self.at_end() or self._tokens[self._position][0] != "word":
            return None
        self._position += 1
        return self._tokens[self._position - 1][1]

    def _take(self, kind: str, text: str) -> bool:
        if self.at_end() or self._tokens[self._position] != (kind, text):
            return False
        self._position += 1
        return True
