"""Reads the plain part of YAML that `/etc/rancher/k3s/config.yaml` is written in: scalars, and lists of scalars."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from hetzner_k3s.lab.k3s.flags import Flags, merge

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
        return json.loads(text)
    if text[:1] == "'" and text[-1:] == "'":
        return text[1:-1].replace("''", "'")
    if text[:1] in tuple("[{&*!|>%@`"):
        raise NotPlain(text)
    return _LITERALS.get(text, text)


def flags(
    command: str,
    text: str | None,
    *,
    permit: bool = False,
    agentless: bool = False,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Flags:
    """Give the configuration of a k3s command; `permit` is the birth permit in its environment.

    `agentless` says that the drop-in of a restore lies beside the file.
    """
    permitted = {"K3S_CLUSTER_INIT": "true"} if permit else {}
    document = {**read(text or ""), **({"disable-agent": True} if agentless else {})}
    return merge(command, document, {**environment, **permitted}, ())
