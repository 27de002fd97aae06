"""The step about a cluster whose data lies in an external database."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StartOnDatabase:
    """Start the master `target` on the database that a born cluster lives in, and see that it serves that cluster.

    Its token is that of the healthy master `via` (a server id). Where no master is left it is the one whose hash begins
    `token_hash`, from the server `token_from`, or from this machine where that is None; `agent_hash` and `agent_from`
    are the same of the agents' token, where the cluster has one.
    """

    target: str
    server_id: int
    via: int | None = None
    token_hash: str | None = None
    token_from: int | None = None
    agent_hash: str | None = None
    agent_from: int | None = None
