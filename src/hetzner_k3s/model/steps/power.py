"""Steps about machines that are there and do not run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerOn:
    """Power the server `target` on; one that `joined` before is waited for until its k3s came back.

    `via` is the healthy master (a server id) whose API tells when its Node is Ready, None where its own has to.
    """

    target: str
    server_id: int
    joined: bool
    via: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWorker:
    """Start the stopped agent of the worker `target`, and see by the API of the master `via` that its Node is Ready."""

    target: str
    server_id: int
    via: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMaster:
    """Start the stopped k3s of the master `target`, which has its data; no other one is touched."""

    target: str
    server_id: int
