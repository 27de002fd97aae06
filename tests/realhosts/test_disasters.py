"""Most masters are lost, or all: without consent nothing is touched, with it what is left of the data goes on.

One cluster stands for both stories, with its snapshots in S3; each story leaves it whole.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.realhosts.cluster import Cluster, assert_at_rest, assert_whole
from tests.realhosts.killing import kill_once, said
from tests.realhosts.standing import MASTERS, WORKER, lose, refused, standing, told, until

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.storage import BUCKET, ENDPOINT

pytest.importorskip("moto")

MASTER1, MASTER2, MASTER3 = MASTERS
HEALTH = "curl -s -m 1 http://127.0.0.1:2381/health"
LINEAGE = "cat /var/lib/hetzner-k3s/lineage"
S3 = f"""datastore:
  etcd:
    s3_enabled: true
    s3_endpoint: {ENDPOINT}
    s3_region: us-east-1
    s3_bucket: {BUCKET}
    s3_access_key: AKEXAMPLE
    s3_secret_key: of-no-use-here
    s3_force_path_style: true
"""


pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give one cluster for the stories of this file; each leaves it whole."""
    with standing(lab, tmp_path_factory.mktemp("disasters"), more=S3) as made:
        yield made


def without_quorum(cluster: Cluster, *lost: str) -> str:
    """Delete two masters at Hetzner and wait until the one that is left sees that quorum is lost."""
    (survivor,) = set(MASTERS) - set(lost)
    for name in lost:
        lose(cluster, name)
    until(lambda: "NO LEADER" in told(cluster, survivor, HEALTH), "quorum is lost")
    return survivor


def rescues(cluster: Cluster) -> list[Path]:
    """List the files of the copies that were made of masters' data on the operator's machine."""
    return [path for path in (cluster.folder / "state").rglob("*") if "rescue" in str(path) and path.is_file()]


def test_two_of_three_masters_lost_go_on_from_the_third_on_consent(cluster: Cluster) -> None:
    cluster.write_objects(MASTER1)
    identity, objects = cluster.identity(MASTER3), cluster.objects(MASTER3)
    ids = {name: server["id"] for name, server in cluster.lab.servers().items()}
    assert without_quorum(cluster, MASTER1, MASTER2) == MASTER3
    refused(cluster, "quorum.lost", f"--reset-quorum-from {MASTER3}", restless=(MASTER3,))

    done = cluster.create("--reset-quorum-from", MASTER3)

    assert_whole(cluster)
    assert {name: cluster.lab.servers()[name]["id"] == ids[name] for name in ids} == {
        MASTER1: False,
        MASTER2: False,
        MASTER3: True,
        WORKER: True,
    }
    for name in cluster.masters():
        assert cluster.identity(name) == identity
        assert cluster.objects(name) == objects
    assert_lineage(cluster, MASTER3)
    copied = rescues(cluster)
    assert [path for path in copied if path.name == "token"], copied
    assert {stat.S_IMODE(path.stat().st_mode) for path in copied} == {0o600}
    assert str(copied[0].parents[0]).split("/rescue")[0] in done.stderr
    assert cluster.births() <= 1
    assert_at_rest(cluster)


def assert_lineage(cluster: Cluster, server: str) -> None:
    """Assert that the new lineage is written on the host, in every carrier of the birth record and in the cluster."""
    lineage = cluster.sh(server, LINEAGE).split()[0]
    carriers = [*cluster.lab.resources("placement_groups"), *cluster.lab.servers().values()]
    recorded = {c["name"]: c["labels"].get("hetzner-k3s/lineage") for c in carriers}
    assert {recorded[name] for name in (*MASTERS, "demo-masters-pg1")} == {lineage}, recorded
    assert lineage in cluster.kubectl(server, "get configmap hetzner-k3s -n kube-system -o json")


def test_all_masters_lost_come_back_from_a_snapshot_on_consent(cluster: Cluster) -> None:
    cluster.write_objects(MASTER1)
    identity, objects = cluster.identity(MASTER1), cluster.objects(MASTER1)
    worker = cluster.lab.servers()[WORKER]["id"]
    cluster.sh(MASTER2, "k3s etcd-snapshot save --name etcd-snapshot 2>/dev/null")
    cluster.kubectl(MASTER1, "create configmap kept-too-late -n default")
    for name in MASTERS:
        lose(cluster, name)
    refused(cluster, "restore.consent", "1 snapshot of this cluster", "--restore latest")

    cluster.create("--restore", "latest")

    assert_whole(cluster)
    assert cluster.lab.servers()[WORKER]["id"] == worker
    for name in cluster.masters():
        assert cluster.identity(name) == identity
        assert cluster.objects(name) == objects
    assert_lineage(cluster, MASTER1)
    assert cluster.births() == 0
    assert_at_rest(cluster)


@pytest.mark.slow
def test_a_reset_that_is_killed_at_each_step_is_gone_on_with(cluster: Cluster) -> None:
    """The unit on the host outlives the run that is killed, so the next run finds it under way, or its work done."""
    cluster.write_objects(MASTER1)
    identity, objects = cluster.identity(MASTER1), cluster.objects(MASTER1)
    number = cluster.lab.servers()[MASTER1]["id"]
    assert without_quorum(cluster, MASTER2, MASTER3) == MASTER1
    reset = ("create", "--reset-quorum-from", MASTER1)
    for moment in ("stopping k3s", "copying its datastore", "becomes the only member"):
        kill_once(cluster, lambda talk, moment=moment: said(talk, MASTER1, moment), *reset, within=180.0)  # type: ignore[misc]
    cluster.create("--reset-quorum-from", MASTER1)
    assert_whole(cluster)
    assert cluster.lab.servers()[MASTER1]["id"] == number
    for name in cluster.masters():
        assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
    assert_lineage(cluster, MASTER1)
    assert_at_rest(cluster)


@pytest.mark.slow
def test_a_restore_that_is_killed_at_each_step_is_gone_on_with(cluster: Cluster) -> None:
    cluster.write_objects(MASTER1)
    identity, objects = cluster.identity(MASTER1), cluster.objects(MASTER1)
    cluster.sh(MASTER2, "k3s etcd-snapshot save --name etcd-snapshot 2>/dev/null")
    for name in MASTERS:
        lose(cluster, name)
    for moment in ("restoring", "starting the restored cluster"):
        kill_once(
            cluster,
            lambda talk, moment=moment: said(talk, MASTER1, moment),  # type: ignore[misc]
            *("create", "--restore", "latest"),
            within=300.0,
        )
    cluster.create("--restore", "latest")
    assert_whole(cluster)
    for name in cluster.masters():
        assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
    assert_lineage(cluster, MASTER1)
    assert cluster.births() == 0
    assert_at_rest(cluster)
