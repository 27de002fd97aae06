"""Steps on the operator's machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepTokens:
    """Keep the tokens of the cluster `target` on this machine (0600), read off the healthy master `via`."""

    target: str
    via: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteKubeconfig:
    """Write the kubeconfig (0600) at the path `target` with one context a name in `servers` (name -> API URL)."""

    target: str
    via: int
    servers: Mapping[str, str]
    current: str
