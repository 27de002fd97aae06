"""Steps after the loss of all masters: a snapshot is restored, or the cluster is given up."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.snapshots import StoredSnapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetBirth:
    """Take the record of a cluster that was given up off everything that carries it; `target` are its digits.

    `ca` is its whole CA hash, as far as it is known: this machine remembers that it was given up.
    """

    target: str
    record: BirthRecord
    ca: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepSnapshot:
    """Copy the snapshot that is to be restored out of the reach of k3s' retention; `target` is the copy's name."""

    target: str
    snapshot: StoredSnapshot
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSnapshot:
    """Restore the kept snapshot `snapshot` on the host of the server `target`, which holds no data.

    The token is the one with the hash `token_hash`: read off the server `token_from` (a server id), or, where that is
    None, what this machine was given. `parent` is the lineage that the new one follows.
    """

    target: str
    server_id: int
    snapshot: str
    token_hash: str
    token_from: int | None
    parent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRestored:
    """Start k3s on the master `target`, which holds a restored snapshot, and see that it is the recorded cluster."""

    target: str
    server_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectWorker:
    """Point the worker `target` to a living master and start its agent anew: all the masters it knows are gone."""

    target: str
    server_id: int
    server_url: str
