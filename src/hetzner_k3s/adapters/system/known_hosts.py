"""The host keys that this user's ssh knows hosts by: `~/.ssh/known_hosts`, hashed names included."""

from __future__ import annotations

from pathlib import Path

import asyncssh

from hetzner_k3s.model.hosts.contact import host_key_label


def keys_of(address: str, port: int) -> tuple[str, ...]:
    """Return the label values of the ed25519 keys there; none where the file is not there or cannot be read."""
    try:
        file = Path.home() / ".ssh" / "known_hosts"
        text = file.read_text(encoding="utf-8", errors="replace")
        keys = asyncssh.match_known_hosts(asyncssh.import_known_hosts(text), address, address, port)[0]
    except (OSError, RuntimeError, ValueError):
        return ()
    return tuple(sorted({host_key_label(key.public_data) for key in keys if key.algorithm == b"ssh-ed25519"}))
