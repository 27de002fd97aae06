"""`ports.Objects` of a run on a simulated S3 bucket."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from hetzner_k3s.lab.simulated.bucket import Bucket
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.hosts import snapshot_files
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.model.errors import Fate, StorageError
from hetzner_k3s.model.snapshots import StoredSnapshot

_TRIP: Final = (0.02, 0.2)


class SimulatedObjects:
    """`ports.Objects` of one run.

    Args:
        bucket: what the file names.
        moments: of the run.
        chance: draws latencies.
    """

    def __init__(self, bucket: Bucket, moments: Moments, chance: Chance) -> None:
        self._bucket, self._moments, self._chance = bucket, moments, chance
        self.writes: list[str] = []

    async def _ask(self) -> None:
        self._moments.check()
        await asyncio.sleep(self._chance.uniform(*_TRIP))
        self._moments.check()
        if self._bucket.down:
            raise StorageError("the S3 service did not answer")

    async def snapshots(self, folder: str) -> tuple[StoredSnapshot, ...]:
        """List what lies directly in a folder."""
        await self._ask()
        return tuple(o.entry for (where, _), o in sorted(self._bucket.objects.items()) if where == folder)

    async def copy(self, snapshot: StoredSnapshot, folder: str, name: str) -> None:
        """Copy a snapshot within the bucket."""
        self.writes.append(f"copy {snapshot.name} to {folder}/{name}")
        self._moments.pass_by(f"before copy {name}")
        await self._ask()
        found = self._bucket.objects.get((snapshot.folder, snapshot.name))
        if found is None:
            raise StorageError("the S3 service refused: NoSuchKey", fate=Fate.DID_NOT_HAPPEN)
        self._bucket.put(replace(found.entry, folder=folder, name=name), found.backend)
        self._moments.pass_by(f"after copy {name}")

    async def fetch(self, snapshot: StoredSnapshot, path: str) -> None:
        """Download a snapshot."""
        await self._ask()
        found = self._bucket.objects.get((snapshot.folder, snapshot.name))
        if found is None:
            raise StorageError("the S3 service refused: NoSuchKey", fate=Fate.DID_NOT_HAPPEN)

        def write() -> None:
            with open(path, "xb") as file:
                file.write(snapshot_files.encode(found.backend))

        write()  # at once: virtual time would go on beside a thread, by as much as the machine is busy
