"""Steps that bring a server to the point where k3s can be started on it."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.operations.operation import K3sRole


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateServer:
    """Ask for the server `target`, adopt it when it is there already, and wait until it runs.

    What is bought stands here, so that what was shown is what is asked for (docs/architecture.md#law-10):
    `placement_group` is a name.
    """

    target: str
    server_type: str
    image: str
    location: str
    placement_group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecureHost:
    """Replace the boot host key of a server by its final one, over the first verified connection."""

    target: str
    server_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallK3s:
    """Put k3s, its unit and its start guard on a server; nothing is started."""

    target: str
    server_id: int
    role: K3sRole
    version: str
