"""The clusters' tokens that this machine keeps: one file (0600) each, named by the hash of the servers' token.

Nothing is overwritten: a snapshot from before a rotation is opened by the token of then.
"""

from __future__ import annotations

from pathlib import Path

from hetzner_k3s.adapters.system.files import make_private, write_private
from hetzner_k3s.model import tokens
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.tokens import ClusterTokens


def keep(folder: Path, kept: ClusterTokens) -> Path:
    """Write a cluster's tokens; `HETZNER_K3S_TOKEN_FILE` takes the file as it is."""
    make_private(folder)
    path = folder / kept.held.server
    write_private(path, kept.text().reveal())
    return path


def found(folder: Path) -> tuple[ClusterTokens, ...]:
    """Return what is kept, the newest first; a file that cannot be read, or holds no token, is none."""
    files = sorted((path for path in folder.glob("*") if path.is_file()), key=_changed, reverse=True)
    return tuple(read for path in files if (read := _read(path)) is not None)


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _read(path: Path) -> ClusterTokens | None:
    try:
        lines: tuple[Secret, ...] = tokens.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    servers, agents = tokens.servers_of(lines), tokens.agents_of(lines)
    server, agent = next(iter(servers.values()), None), next(iter(agents.values()), None)
    return None if server is None else ClusterTokens(server, agent)
