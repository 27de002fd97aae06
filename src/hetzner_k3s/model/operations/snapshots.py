"""Snapshots: saved, told, sent and restored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hetzner_k3s.model.host import Snapshot
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.snapshots import SnapshotFile


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSnapshot(Operation[Snapshot]):
    """Have k3s save a snapshot under `name` and check that it is there and not empty."""

    mutating: ClassVar[bool] = True
    name: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSnapshot(Operation[Done]):
    """Make a host without data the only member of the cluster that a snapshot holds; nothing is started.

    `config.yaml` must be there, with the token and, for S3, the keys to it; `snapshot` is a name in its folder, or,
    with a `sha256`, a file among the host's own snapshots of that checksum (`precondition_changed` where it is not).
    Snapshots stay, and what else lies in `server/` goes to `server-replaced-<unix>`. The mark `restoring` lies on the
    host meanwhile: what a cut-off restore left is removed before it is tried again. The lineage file is written last
    (docs/facts/k3s.md#reset: exit code and success line alone prove nothing).
    """

    mutating: ClassVar[bool] = True
    snapshot: str
    sha256: str | None
    lineage: str
    parent: str | None
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TellSnapshots(Operation[tuple[SnapshotFile, ...]]):
    """Read whose the snapshot files of a host are, the newest first, for at most `deadline` seconds."""

    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveSnapshot(Operation[Done]):
    """Lay a snapshot file beside those of a host without data; sent through `Hosts.send`, never through `perform`.

    It appears under `name` only when it is whole: `size` in bytes and `sha256` are checked there. Sent again it is
    left as it is; another file of that name is put aside.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendSnapshot(Operation[Done]):
    """Send a snapshot file of a master as it is; read through `Hosts.stream`, never through `perform`."""

    name: str
