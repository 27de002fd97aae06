"""Reads the plain part of YAML that `/etc/rancher/k3s/config.yaml` is written in: scalars, and lists of scalars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

_LITERALS = {"true": True, "false": False, "null": None, "": None}


class NotPlain(ValueError):
    """The file holds something that this reader does not know; better no answer than a wrong one."""


@lru_cache(maxsize=256)
def read(text: str) -> MappingProxyType[str, object]:
    """Read a configuration into key -> value.

    Raises:
        NotPlain: a line is neither `key: scalar`, `key:` nor `- scalar`.
    """
    document: dict[str, object] = {}
    entries: list[object] | None = None
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        if bare.startswith("- ") and entries is not None:
            entries.append(_scalar(bare[2:]))
            continue
        key, colon, value = bare.partition(":")
        if not colon or line[0] in " -\"'" or (value and value[0] != " "):
            raise NotPlain(line)
        entries = [] if not value else None
        document[key] = _scalar(value.strip()) if entries is None else entries
    return MappingProxyType(document)


def _scalar(text: str) -> object:
    if text[:1] == '"':
        return _quoted(text)
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] in tuple("[{&*!|>%@`"):
        raise NotPlain(text)
    return _LITERALS.get(text, text)


def _quoted(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        raise NotPlain(text) from None


def texts(document: Mapping[str, object]) -> dict[str, tuple[str, ...]]:
    """Return every value as texts: k3s takes one for a list of one, and `true` for a switch."""
    return {key: tuple(map(_text, value if isinstance(value, list) else [value])) for key, value in document.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
