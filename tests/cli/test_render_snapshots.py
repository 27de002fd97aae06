"""What `hetzner-k3s snapshots` shows: whose, how old, where; and what it could not look at."""

from __future__ import annotations

from dataclasses import replace

from inline_snapshot import snapshot
from tests.decide import world
from tests.decide.lost import a_file, emptied, naming_a_file, on_disk, with_disk
from tests.decide.world import MASTER1, NOW, OTHER_UID, SPEC, UID

from hetzner_k3s.cli.render.snapshots import snapshot_json, snapshot_lines, snapshot_rows
from hetzner_k3s.cli.render.tables import age
from hetzner_k3s.model.facts import Known, Unknown
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec, EtcdSpec, S3Spec
from hetzner_k3s.model.state import ClusterState

S3 = S3Spec(
    endpoint="s3.example.com",
    region="fsn1",
    bucket="backups",
    access_key=SPEC.hetzner_token,
    secret_key=SPEC.hetzner_token,
    folder="prod",
)


def stored(made: float, uid: str | None, folder: str = "prod") -> StoredSnapshot:
    name = f"etcd-snapshot-prod-master1-{int(made)}"
    return StoredSnapshot(name=name, folder=folder, size=4_700_000, modified=made, cluster_uid=uid, token_hash="0" * 12)


def with_s3() -> ClusterSpec:
    return replace(SPEC, etcd=EtcdSpec(s3=S3))


def seen() -> ClusterState:
    found = (stored(NOW - 2220, UID), stored(NOW - 400_000, UID, ""), stored(NOW - 60, OTHER_UID), stored(NOW, None))
    return replace(world.healthy(), snapshots=Known(found))


def test_the_table_says_whose_each_is() -> None:
    assert "\n".join(snapshot_lines(with_s3(), seen())) == snapshot("""\
SNAPSHOT                               WHERE     AGE     SIZE    OF
etcd-snapshot-prod-master1-1800000000  S3 prod/  0 min   4.7 MB  unknown
etcd-snapshot-prod-master1-1799999940  S3 prod/  1 min   4.7 MB  another cluster
etcd-snapshot-prod-master1-1799997780  S3 prod/  37 min  4.7 MB  this cluster
etcd-snapshot-prod-master1-1799600000  S3 /      4 days  4.7 MB  this cluster\
""")


def test_what_was_not_seen_is_said() -> None:
    blind = replace(seen(), snapshots=Unknown("it did not answer"))
    assert list(snapshot_lines(with_s3(), blind)) == snapshot(
        ["prod: no snapshot was found", "not seen: S3 (it did not answer)"]
    )
    (*_, last) = snapshot_lines(SPEC, replace(seen(), snapshots=None))
    assert last == snapshot("not looked at: S3 (datastore.etcd.s3_enabled is not true)")


def test_json_has_the_same_rows() -> None:
    document = snapshot_json(with_s3(), seen())
    rows = document["snapshots"]
    assert isinstance(rows, list)
    assert [row["of"] for row in rows] == ["unknown", "another cluster", "this cluster", "this cluster"]
    assert document["not_seen"] == []


def test_ages_are_said_as_people_do() -> None:
    assert [age(s) for s in (59, 60, 3600, 7500, 172_800)] == ["0 min", "1 min", "1 h 00 min", "2 h 05 min", "2 days"]


def test_a_file_of_this_machine_and_what_a_disk_says_are_told_apart() -> None:
    state = naming_a_file(with_disk(emptied(SPEC, MASTER1), MASTER1, on_disk(60), on_disk(90, uid=None)), a_file())
    rows = {(row.name, row.where): row for row in snapshot_rows(SPEC, state)}
    assert rows[a_file().name, "this machine"].of == "this cluster"
    assert rows[a_file().name, "this machine"].age == 600.0
    assert rows[on_disk(60).name, MASTER1].of == "this cluster"
    assert rows[on_disk(90).name, MASTER1].of == "unknown"
