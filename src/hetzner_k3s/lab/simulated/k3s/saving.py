"""Snapshots of a simulated k3s: saved on its host, copied to S3, made on a schedule, and pruned."""

from __future__ import annotations

import asyncio
from typing import Final

from hetzner_k3s.lab.k3s.etcd.model_data import Snapshot as Backend
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts import snapshot_files
from hetzner_k3s.lab.simulated.hosts.disk import SavedSnapshot
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.model.host import Snapshot
from hetzner_k3s.model.operations.operation import K3sRole
from hetzner_k3s.model.snapshots import StoredSnapshot

SCHEDULED: Final = "etcd-snapshot"
_DEFAULT_RETENTION: Final = 5
_HOUR: Final = 3600.0


def save(server: Server, flags: Flags, name: str) -> Snapshot:
    """Save a snapshot as `NAME-<node>-<UNIX seconds>`, and copy it to S3 where the configuration says so."""
    backend, now = server.member().photograph(), server.site.clock.now()
    entry = Snapshot(name=f"{name}-{server.name}-{int(now)}", size=snapshot_files.size(backend), created=now)
    server.disk.snapshots[entry.name] = SavedSnapshot(entry, backend)
    if flags.on("etcd-s3"):
        _upload(server, flags, entry, backend)
    return entry


def _upload(server: Server, flags: Flags, entry: Snapshot, backend: Backend) -> None:
    bucket = server.site.bucket
    if bucket.down:
        server.host.log(K3sRole.SERVER, 'level=error msg="Error encountered while uploading snapshot to S3: timeout"')
        return
    stored = StoredSnapshot(
        name=entry.name,
        folder=flags.text("etcd-s3-folder"),
        size=entry.size,
        modified=entry.created,
        cluster_uid=snapshot_files.uid_of(backend),
        token_hash=tokens.short_hash(tokens.parse(server.disk.token or "").password),
        node=server.host.name,
    )
    bucket.put(stored, backend)


async def keep_saving(server: Server, flags: Flags) -> None:
    """Save a snapshot every full hour, and prune on the host and in S3 by the prefix alone. Never returns."""
    keep = int(flags.text("etcd-snapshot-retention") or _DEFAULT_RETENTION)
    while True:
        now = server.site.clock.now()
        await asyncio.sleep(_HOUR - now % _HOUR)
        if not server.api_ready:
            continue
        save(server, flags, SCHEDULED)
        local = [n for n in server.disk.snapshots if n.startswith(SCHEDULED)]
        for name in sorted(local, key=lambda n: -server.disk.snapshots[n].entry.created)[keep:]:
            del server.disk.snapshots[name]
        if flags.on("etcd-s3") and not server.site.bucket.down:
            server.site.bucket.prune(flags.text("etcd-s3-folder"), SCHEDULED, keep)
