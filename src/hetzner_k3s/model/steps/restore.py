"""Steps after the loss of all masters: a snapshot is restored, or the cluster is given up."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

    @property
    def copy(self) -> StoredSnapshot:
        """Return the copy, as a listing shows it."""
        return replace(self.snapshot, name=self.target, folder=self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSnapshot:
    """Copy the snapshot file that lies on this machine to the host of `target`, which holds no data.

    There it is called `name`; `size` is in bytes, `sha256` that of the whole file.
    """

    target: str
    server_id: int
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSnapshot:
    """Restore a snapshot on the host of the server `target`, which holds no data.

    `snapshot` is the kept copy in S3, or, with a `sha256`, a file among that host's own snapshots.
    The token is the one with the hash `token_hash`: read off the server `token_from` (a server id), or, where that is
    None, what this machine was given. `agent_hash` and `agent_from` are the same of the agents' token, where the
    cluster has one: without it k3s does not start again after a restore. `parent` is the lineage that the new one
    follows.
    """

    target: str
    server_id: int
    snapshot: str
    sha256: str | None
    token_hash: str
    token_from: int | None
    parent: str | None
    agent_hash: str | None = None
    agent_from: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRestored:
    """Start k3s on the master `target`, which holds a restored snapshot, and see that it is the recorded cluster.

    It is started without its agent first, and the Nodes of lost masters are deleted: they name servers that are gone,
    and a kubelet corrects neither address nor provider id (docs/facts/k3s.md#restored-node).
    `quiet` are the masters without data whose k3s is at work (server ids): it is stopped first, or they would join by
    themselves before anybody has written down of which lineage they are.
    """

    target: str
    server_id: int
    quiet: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectWorker:
    """Point the worker `target` to a living master and start its agent anew: all the masters it knows are gone.

    `via` is the server id of the master through which its Node is seen.
    `known` are the addresses of those, as its agent was seen to know them.
    """

    target: str
    server_id: int
    via: int
    server_url: str
    known: tuple[str, ...]
