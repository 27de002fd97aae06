"""Steps that bring a running host to what the file says now, by consent: one restart of its k3s each.

A `version` is the release that lies ready on the host and is put in place with that restart, None where none is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StageK3s:
    """Have the release `version` lie ready on the server `target`, whose k3s goes on."""

    target: str
    server_id: int
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconfigureMaster:
    """Start the k3s of the master `target` anew with the configuration of the file, and see it stay up as a voter.

    `members` are the ids of the etcd members that were seen; empty where it does not vote, or keeps no data itself.
    `via` is the master (a server id) that its Node and the tokens are read through: another one where there is one.
    """

    target: str
    server_id: int
    via: int
    members: tuple[str, ...]
    version: str | None
    server_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconfigureWorker:
    """Start the agent of the worker `target` anew with the configuration of the file, and see its Node Ready again.

    What runs there goes on. `via` is the healthy master (a server id) whose API tells of the Node.
    """

    target: str
    server_id: int
    via: int
    version: str | None
    server_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeMaster:
    """Turn the master `target` off, give it the server type of the file, and see it back as a voter.

    `via` is the master (a server id) that its Node is read through: another one where there is one.
    """

    target: str
    server_id: int
    via: int
    server_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeWorker:
    """Turn the worker `target` off, give it the server type of the file, and see its Node Ready again."""

    target: str
    server_id: int
    via: int
    server_type: str
