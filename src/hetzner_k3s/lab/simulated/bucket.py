"""A simulated S3 bucket, and what k3s writes to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from hetzner_k3s.lab.k3s.etcd.model_data import Snapshot as Backend
from hetzner_k3s.model.snapshots import StoredSnapshot


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object: what a listing and its metadata tell, and what is in it."""

    entry: StoredSnapshot
    backend: Backend


@dataclass(slots=True)
class Bucket:
    """A bucket; `down` is that the service does not answer, to operators and hosts alike."""

    down: bool = False
    objects: dict[tuple[str, str], StoredObject] = field(default_factory=dict)

    def put(self, entry: StoredSnapshot, backend: Backend) -> None:
        """Write an object."""
        self.objects[entry.folder, entry.name] = StoredObject(entry, backend)

    def prune(self, folder: str, prefix: str, keep: int) -> None:
        """Take away all but the newest, by the prefix of the name alone, whoever's they are.

        See docs/facts/k3s.md#snapshot-retention.
        """
        found = [o.entry for (where, name), o in self.objects.items() if where == folder and name.startswith(prefix)]
        for entry in sorted(found, key=lambda e: (-e.modified, e.name))[keep:]:
            del self.objects[entry.folder, entry.name]
