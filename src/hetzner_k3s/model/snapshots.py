"""Snapshots of the datastore, wherever they lie, and how one is told from another cluster's before it is restored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.model.consents import Restore

KEPT: Final = "kept-"
"""Begins the name of a copy that a restore makes first: k3s prunes by the prefix `etcd-snapshot` alone."""

_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]+")
_MADE = re.compile(r"-(\d{9,11})(?:\.zip)?\Z")


def plain_name(text: str) -> str:
    """Return a text with dashes for what neither a file of k3s nor a Kubernetes object has in its name."""
    return _UNUSUAL.sub("-", text)


def name_on_host(name: str, sha256: str) -> str:
    """Return the name under which a file is laid on a host: its own, unless it has what k3s or a Node name has not.

    Then those characters go and digits of its checksum tell it from others; what says how it is packed stays last.
    """
    plain = plain_name(name).lstrip(".-")
    if plain == name:
        return name
    stem, dot, packed = plain.rpartition(".zip") if plain.endswith(".zip") else (plain, "", "")
    return f"{stem.strip('-')}-{sha256[:8]}{dot}{packed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """A snapshot file, with what it says itself.

    `created` is the file's time (UNIX seconds), `sha256` of the whole file. `cluster_uid` is the UID of its namespace
    kube-system, None where it is damaged; `token_hashes` (12 digits each) are those of the tokens that its keys are
    sealed with, an old one too where a rotation was not long ago.
    """

    name: str
    size: int
    created: float
    sha256: str
    cluster_uid: str | None
    token_hashes: tuple[str, ...] = ()

    @property
    def made(self) -> float:
        """Return when the snapshot was made."""
        return made_at(self.name, self.created)


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenFile(SnapshotFile):
    """The file on the operator's machine that `given` names by its path, or that of the backup it names."""

    given: Restore


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """A snapshot in S3.

    `name` is without its `folder`; `modified` is UNIX seconds. `cluster_uid` (the kube-system UID), `token_hash` (12
    digits) and `node` are what k3s wrote beside it (docs/facts/k3s.md#snapshot-metadata), None where it did not.
    """

    name: str
    folder: str
    size: int
    modified: float
    cluster_uid: str | None = None
    token_hash: str | None = None
    node: str | None = None

    @property
    def created(self) -> float:
        """Return when it was made."""
        return made_at(self.name, self.modified)

    @property
    def original(self) -> str:
        """Return the name under which k3s saved it."""
        return self.name.removeprefix(KEPT)

    @property
    def kept(self) -> bool:
        """Check whether it is a copy that no retention takes away."""
        return self.name.startswith(KEPT)


def made_at(name: str, modified: float) -> float:
    """Return when a snapshot was made: k3s ends the name with it, and a copy keeps the name but not the file's time."""
    made = _MADE.search(name)
    return float(made[1]) if made else modified


def of_cluster(snapshots: tuple[StoredSnapshot, ...], uid: str | None) -> tuple[StoredSnapshot, ...]:
    """Return the snapshots of the cluster with that kube-system UID, newest first, each once: a kept copy before it."""
    ours = [s for s in snapshots if uid is not None and s.cluster_uid == uid and s.size > 0]
    ours.sort(key=lambda s: (-s.created, s.original, not s.kept))
    seen: set[str] = set()
    once = []
    for snapshot in ours:
        if snapshot.original not in seen:
            seen.add(snapshot.original)
            once.append(snapshot)
    return tuple(once)
