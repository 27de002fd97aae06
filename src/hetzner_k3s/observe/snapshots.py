"""Lists the snapshots in S3, where something depends on them: a birth, or the loss of all masters.

A listing that failed is `Unknown`, never empty: a birth beside snapshots of ours would hide that data is lost.
"""

from __future__ import annotations

from hetzner_k3s.model import lookup
from hetzner_k3s.model.errors import StorageError
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec, S3Spec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.ports import Objects, Ports


async def look(ports: Ports, spec: ClusterSpec, state: ClusterState) -> Reading[tuple[StoredSnapshot, ...]] | None:
    """List what lies in S3 unless a master answers as a voter; a listing that succeeded is kept for the whole run."""
    if isinstance(state.snapshots, Known) or _a_voter_answers(spec, state):
        return state.snapshots
    return await read(ports, spec)


async def read(ports: Ports, spec: ClusterSpec) -> Reading[tuple[StoredSnapshot, ...]] | None:
    """List what lies in S3; None where the file names no S3."""
    if ports.objects is None or spec.etcd.s3 is None:
        return None
    try:
        return Known(await _list(ports.objects, spec.etcd.s3))
    except StorageError as error:
        return Unknown(str(error), ports.clock.now())


async def _list(objects: Objects, s3: S3Spec) -> tuple[StoredSnapshot, ...]:
    """List our folder, and the bucket's root where 2.6 would have written to that."""
    found = [*await objects.snapshots(s3.folder)]
    if s3.shared_root:
        found += await objects.snapshots("")
    return tuple(found)


def _a_voter_answers(spec: ClusterSpec, state: ClusterState) -> bool:
    seen = (state.facts(server.id) for server in lookup.owned_masters(spec.name, state.view))
    return any(facts is not None and facts.voter for facts in seen)
