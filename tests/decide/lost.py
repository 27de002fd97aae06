"""Observations after the loss of all masters, with and without something to restore from."""

from __future__ import annotations

from dataclasses import replace

from tests.decide.world import (
    CREATE,
    FIRST_WORKER,
    MASTER1,
    NOW,
    SPEC,
    UID,
    database_deleted,
    edit_facts,
    healthy,
    lose,
    ready,
    server_id_of,
)

from hetzner_k3s.model.consents import Consents, Restore
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import DiskFacts, EtcdFacts, Snapshot
from hetzner_k3s.model.plan import Intent
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import GivenFile, SnapshotFile, StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec, EtcdSpec, S3Spec
from hetzner_k3s.model.state import ClusterState

TOKEN_HASH = "0123456789ab"
S3 = S3Spec(
    endpoint="s3.example.com",
    region="fsn1",
    bucket="backups",
    access_key=Secret("a"),
    secret_key=Secret("s"),
    folder="prod",
)
S3_SPEC = replace(SPEC, etcd=EtcdSpec(s3=S3))
WORKERS_OF_S3 = tuple(worker.name for worker in S3_SPEC.workers())


def restoring(wanted: str = "latest") -> Intent:
    """Give the intent with `--restore`."""
    return replace(CREATE, consents=Consents.of(Restore(wanted)))


def stored(
    age: float, *, uid: str | None = UID, token_hash: str | None = TOKEN_HASH, folder: str = "prod", kept: bool = False
) -> StoredSnapshot:
    """Make a snapshot in S3 that is so old (seconds)."""
    made = int(NOW - age)
    return StoredSnapshot(
        name=f"{'kept-' if kept else ''}etcd-snapshot-{MASTER1}-{made}",
        folder=folder,
        size=4_700_000,
        modified=NOW - age,
        cluster_uid=uid,
        token_hash=token_hash,
        node=MASTER1,
    )


def all_lost(spec: ClusterSpec = S3_SPEC, *, token: bool = True) -> ClusterState:
    """Delete every master; the workers hold the token, and know masters that are gone."""
    state = healthy(spec)
    for master in spec.masters:
        state = lose(state, master.name)
    state = replace(state, local=replace(state.local, kept=()))
    return with_token(state, spec) if token else state


def with_token(state: ClusterState, spec: ClusterSpec) -> ClusterState:
    """Let the workers hold the cluster's token, and know only masters that are gone."""
    for worker in spec.workers():
        state = edit_facts(
            state,
            worker.name,
            lambda f: replace(
                f,
                disk=replace(
                    f.disk,
                    config_token_hash=TOKEN_HASH,
                    config_server="https://10.0.0.250:6443",
                    agent_servers=("10.0.0.251:6443",),
                ),
            ),
        )
    return state


def with_snapshots(state: ClusterState, *snapshots: StoredSnapshot) -> ClusterState:
    """Let S3 hold these."""
    return replace(state, snapshots=Known(snapshots))


def to_restore(*snapshots: StoredSnapshot) -> ClusterState:
    """Delete every master, with snapshots in S3 and the token on the workers."""
    return with_snapshots(all_lost(), *(snapshots or (stored(2220), stored(5820))))


def prepared(state: ClusterState, name: str = MASTER1) -> ClusterState:
    """Make a fresh master on which k3s can be started."""
    return ready(state, S3_SPEC, name, 900)


def half_restored(state: ClusterState) -> ClusterState:
    """Cut a restore off: its files lie on a host, with a CA that nobody knows."""
    disk = DiskFacts(wal=True, reset_flag=True, server_ca="99" * 32, config_present=True)
    return edit_facts(prepared(state), MASTER1, lambda f: replace(f, disk=disk, restoring=True))


def restored(state: ClusterState, parent: str | None) -> ClusterState:
    """Let a host hold the restored snapshot, not started yet."""
    disk = DiskFacts(wal=True, reset_flag=True, server_ca="ab12" * 16, token_hash=TOKEN_HASH, config_present=True)
    return edit_facts(
        prepared(state),
        MASTER1,
        lambda f: replace(f, disk=disk, lineage="2222", parent_lineage=parent, etcd=EtcdFacts()),
    )


def on_disk(age: float, *, node: str = MASTER1, uid: str | None = UID, token_hash: str = TOKEN_HASH) -> SnapshotFile:
    """Make a snapshot on a master's disk that is so old (seconds)."""
    made = int(NOW - age)
    return SnapshotFile(
        name=f"etcd-snapshot-{node}-{made}",
        size=4_700_032,
        created=NOW,
        sha256=f"{made:064x}",
        cluster_uid=uid,
        token_hashes=(token_hash, "9" * 12),
    )


def emptied(spec: ClusterSpec, *names: str) -> ClusterState:
    """Delete the databases of these masters and lose the others; the token lies on the workers."""
    state = healthy(spec)
    for master in spec.masters:
        state = database_deleted(state, master.name) if master.name in names else lose(state, master.name)
    return with_token(state, spec)


def with_disk(state: ClusterState, name: str, *found: SnapshotFile) -> ClusterState:
    """Let snapshots lie on a master's disk."""
    files = tuple(Snapshot(name=f.name, size=f.size, created=f.created) for f in found)
    told = {**state.on_hosts, server_id_of(name): Known(found)}
    return replace(edit_facts(state, name, lambda f: replace(f, snapshots=files)), on_hosts=told)


def a_file(age: float = 600.0, *, uid: str | None = UID, token_hash: str = TOKEN_HASH) -> GivenFile:
    """Make what is known of the file that `--restore` names."""
    made = int(NOW - age)
    return GivenFile(
        given=Restore("/backups/monday"),
        name=f"backup-{MASTER1}-{made}",
        size=5_000_032,
        created=NOW,
        sha256="ab" * 32,
        cluster_uid=uid,
        token_hashes=(token_hash,) if uid else (),
    )


def naming_a_file(state: ClusterState, file: GivenFile, *, token: bool = True) -> ClusterState:
    """Let the user name a file, in a backup that has the token too."""
    hashes = (TOKEN_HASH,) if token else ()
    return replace(state, local=replace(state.local, snapshot=file, token_hashes=hashes))


FROM_FILE = restoring("/backups/monday")
ONE_WORKER = FIRST_WORKER
