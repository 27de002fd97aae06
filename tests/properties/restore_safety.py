"""What must hold of the steps of a restore, told from the observation alone (see `safety`)."""

from __future__ import annotations

from collections.abc import Iterator

from hetzner_k3s.model import lookup
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.snapshots import SnapshotFile
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import RestoreSnapshot, StartRestored, UploadSnapshot


def _record(spec: ClusterSpec, state: ClusterState) -> BirthRecord:
    record = lookup.birth_record(spec, state.view)
    return record if isinstance(record, BirthRecord) else BirthRecord()


def all_lost(spec: ClusterSpec, state: ClusterState) -> Iterator[str]:
    """Say why data of the cluster may still lie on a master."""
    if not isinstance(state.cloud, Known):
        yield "the listing is incomplete"
    for server in lookup.owned_masters(spec.name, state.view):
        facts = state.facts(server.id)
        if facts is None or (facts.disk.wal and not facts.restoring):
            yield f"{server.name} may hold its data"


def restoring(spec: ClusterSpec, state: ClusterState, step: RestoreSnapshot) -> Iterator[str]:
    """Judge the restore of a snapshot."""
    yield from all_lost(spec, state)
    if step.sha256 is not None:
        yield from _a_file(spec, state, step)
        return
    stored = state.snapshots.value if isinstance(state.snapshots, Known) else ()
    found = next((s for s in stored if s.name == step.snapshot), None)
    if found is None or not found.name.startswith("kept-"):
        yield "the snapshot is not safe from pruning"
    elif found.cluster_uid is None or found.cluster_uid != _record(spec, state).uid:
        yield "the snapshot is of another cluster"
    elif found.token_hash != step.token_hash:
        yield "the token is another one"


def _a_file(spec: ClusterSpec, state: ClusterState, step: RestoreSnapshot) -> Iterator[str]:
    told = state.on_hosts.get(step.server_id)
    files: list[SnapshotFile] = list(told.value) if isinstance(told, Known) else []
    if state.local.snapshot is not None:
        files.append(state.local.snapshot)
    found = next((f for f in files if f.sha256 == step.sha256), None)
    if found is None:
        yield "nobody looked at that file"
    elif found.cluster_uid is None or found.cluster_uid != _record(spec, state).uid:
        yield "the snapshot is of another cluster"
    elif step.token_hash not in found.token_hashes:
        yield "the token is another one"


def uploading(spec: ClusterSpec, state: ClusterState, step: UploadSnapshot) -> Iterator[str]:
    """Judge the upload of a snapshot file."""
    yield from all_lost(spec, state)
    here = state.local.snapshot
    if here is None or here.sha256 != step.sha256:
        yield "nobody looked at that file"
    elif here.cluster_uid is None or here.cluster_uid != _record(spec, state).uid:
        yield "the snapshot is of another cluster"


def starting(spec: ClusterSpec, state: ClusterState, step: StartRestored) -> Iterator[str]:
    """Judge the start of a restored master."""
    facts = state.facts(step.server_id)
    if facts is None or facts.restoring or facts.parent_lineage != _record(spec, state).lineage:
        yield "no restored snapshot lies there"
    others = [s for s in lookup.owned_masters(spec.name, state.view) if s.id != step.server_id]
    if any((f := state.facts(s.id)) is not None and f.disk.wal for s in others):
        yield "another master holds data"
