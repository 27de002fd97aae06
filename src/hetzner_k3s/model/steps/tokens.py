"""Steps about the token that masters and workers hold."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.operations.looks import SecretKind


@dataclass(frozen=True, slots=True, kw_only=True)
class RenewToken:
    """Write the cluster's current, full token into `config.yaml` of the master `target`.

    Nothing that runs is restarted. It is read off the healthy master `via` (a server id) as `kind`. With `revive` the
    target's k3s cannot start for want of it: its stale password file goes too, and that one k3s is started.
    """

    target: str
    server_id: int
    via: int
    kind: SecretKind
    revive: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PinCa:
    """Let the token in the configuration of the worker `target` pin the CA that the cluster's was rotated into.

    Its password stays, and nothing that runs is restarted. With `restart` its agent waits for want of the new pin, and
    is started anew.
    """

    target: str
    server_id: int
    before: str
    ca: str
    restart: bool = False
