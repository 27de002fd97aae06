"""Renders which snapshots there are and where, as a table or as JSON rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from hetzner_k3s.cli.render.tables import age, table
from hetzner_k3s.model import lookup
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.snapshots import SnapshotFile, StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.text.wording import size

_HEADINGS = ("SNAPSHOT", "WHERE", "AGE", "SIZE", "OF")
_SPARE = ("SIZE",)
"""What a narrow terminal can do without: `--json` has it."""
OURS, ANOTHERS, UNTOLD = "this cluster", "another cluster", "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One snapshot; `created` is UNIX seconds, `age` seconds, `size` bytes."""

    name: str
    where: str
    created: float
    age: float
    size: int
    of: str
    token_hash: str | None = None


def snapshot_rows(spec: ClusterSpec, state: ClusterState) -> tuple[Row, ...]:
    """Return every snapshot that was seen, newest first: in S3, and on hosts that answered."""
    record = lookup.birth_record(spec, state.view)
    uid = record.uid if isinstance(record, BirthRecord) else None
    stored = state.snapshots.value if isinstance(state.snapshots, Known) else ()
    rows = [_stored(snapshot, uid, state.observed_at) for snapshot in stored]
    rows += _local(spec, state, uid)
    if state.local.snapshot is not None:
        rows.append(_here(state.local.snapshot, uid, state.observed_at))
    return tuple(sorted(rows, key=lambda row: (-row.created, row.where, row.name)))


def _stored(snapshot: StoredSnapshot, uid: str | None, now: float) -> Row:
    return Row(
        name=snapshot.name,
        where=f"S3 {snapshot.folder}/" if snapshot.folder else "S3 /",
        created=snapshot.created,
        age=max(0.0, now - snapshot.created),
        size=snapshot.size,
        of=_whose(snapshot.cluster_uid, uid),
        token_hash=snapshot.token_hash,
    )


def _whose(cluster_uid: str | None, uid: str | None) -> str:
    return UNTOLD if cluster_uid is None or uid is None else OURS if cluster_uid == uid else ANOTHERS


def _here(file: SnapshotFile, uid: str | None, now: float) -> Row:
    return Row(
        name=file.name,
        where="this machine",
        created=file.made,
        age=max(0.0, now - file.made),
        size=file.size,
        of=_whose(file.cluster_uid, uid),
        token_hash=", ".join(file.token_hashes) or None,
    )


def _local(spec: ClusterSpec, state: ClusterState, uid: str | None) -> Iterator[Row]:
    """Return what lies on the masters; of one without data it was read whose they are, else they are its host's."""
    for server in lookup.owned_masters(spec.name, state.view):
        facts, told = state.facts(server.id), state.on_hosts.get(server.id)
        read = {s.name: s for s in told.value} if isinstance(told, Known) else {}
        for found in facts.snapshots if facts else ():
            said = read.get(found.name)
            yield Row(
                name=found.name,
                where=server.name,
                created=found.created,
                age=max(0.0, state.observed_at - found.created),
                size=found.size,
                of=_whose(said.cluster_uid, uid) if said else "its host",
                token_hash=", ".join(said.token_hashes) or None if said else None,
            )


def snapshot_lines(spec: ClusterSpec, state: ClusterState, width: int | None = None) -> Iterator[str]:
    """Render a table that fits into `width` characters, and a line for what could not be looked at."""
    rows = snapshot_rows(spec, state)
    if rows:
        shown = [(r.name, r.where, age(r.age), size(r.size), r.of) for r in rows]
        yield from table([_HEADINGS, *shown], width, _SPARE)
    else:
        yield f"{spec.name}: no snapshot was found"
    yield from blind_spots(spec, state)


def snapshot_json(spec: ClusterSpec, state: ClusterState) -> dict[str, object]:
    """Return the same rows, and what could not be looked at, for `--json`."""
    rows = [asdict(row) for row in snapshot_rows(spec, state)]
    return {"cluster": spec.name, "snapshots": rows, "not_seen": list(blind_spots(spec, state))}


def blind_spots(spec: ClusterSpec, state: ClusterState) -> Iterator[str]:
    """Return where snapshots may lie that nobody saw: unknown is not absent."""
    if isinstance(state.snapshots, Unknown):
        yield f"not seen: S3 ({state.snapshots.why})"
    if spec.etcd.s3 is None:
        yield "not looked at: S3 (datastore.etcd.s3_enabled is not true)"
    for server in lookup.owned_masters(spec.name, state.view):
        if state.facts(server.id) is None:
            yield f"not seen: {server.name} does not answer"
