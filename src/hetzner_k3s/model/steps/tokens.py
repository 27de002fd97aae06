"""Steps about the token that masters hold."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.operations import SecretKind


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
