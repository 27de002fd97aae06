"""All masters are lost on real hosts: the snapshot in S3 and the token on the worker bring the cluster back."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.realhosts.cluster import NAME, Cluster
from tests.realhosts.standing import lose

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.storage import BUCKET, ENDPOINT

pytest.importorskip("moto")

_S3 = f"""datastore:
  etcd:
    s3_enabled: true
    s3_endpoint: {ENDPOINT}
    s3_region: us-east-1
    s3_bucket: {BUCKET}
    s3_access_key: AKEXAMPLE
    s3_secret_key: of-no-use-here
    s3_force_path_style: true
"""


@pytest.mark.slow
def test_all_masters_lost_and_restored_from_s3(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=1, more=_S3)
    born = cluster.run("create")
    assert born.returncode == 0, born.stderr
    master = f"{NAME}-master1"
    cluster.kubectl(master, "create configmap kept -n default --from-literal=a=b")
    saved = cluster.run("backup", "--to", str(tmp_path / "backup"))
    assert saved.returncode == 0, saved.stderr
    lose(cluster, master)
    refused = cluster.run("create")
    assert refused.returncode == 4, refused.stderr
    assert "--restore latest" in refused.stderr
    restored = cluster.run("create", "--restore", "latest")
    assert restored.returncode == 0, restored.stderr
    assert restored.stderr.count("restoring kept-") == 1, "the first attempt failed"
    assert "kept" in cluster.kubectl(master, "get configmap kept -n default -o name")
    assert cluster.run("create").returncode == 0


@pytest.mark.slow
def test_a_single_master_comes_back_from_a_backup_without_s3(fresh_lab: LabHandle, tmp_path: Path) -> None:
    """Its server is gone and no worker holds the token: what `backup` wrote is all that is left, and enough."""
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=0)
    born = cluster.run("create")
    assert born.returncode == 0, born.stderr
    master = f"{NAME}-master1"
    cluster.kubectl(master, "create configmap kept -n default --from-literal=a=b")
    folder = tmp_path / "backup"
    saved = cluster.run("backup", "--to", str(folder))
    assert saved.returncode == 0, saved.stderr
    cluster.kubectl(master, "create configmap too-late -n default --from-literal=a=b")
    lose(cluster, master)
    refused = cluster.run("create")
    assert refused.returncode == 4, refused.stderr
    assert "create --restore PATH" in refused.stderr
    listed = cluster.run("snapshots", "--from", str(folder))
    assert "this machine" in listed.stdout, listed.stdout + listed.stderr
    assert "this cluster" in listed.stdout, listed.stdout + listed.stderr
    restored = cluster.run("create", "--restore", str(folder))
    assert restored.returncode == 0, restored.stderr
    assert restored.stderr.count("restoring kept-") == 1, "the first attempt failed"
    found = cluster.kubectl(master, "get configmap -n default -o name")
    assert "kept" in found
    assert "too-late" not in found
    cluster.sh(master, "systemctl stop k3s; rm -rf /var/lib/rancher/k3s/server/db/etcd")
    emptied = cluster.run("create")
    assert emptied.returncode == 4, emptied.stderr
    again = cluster.run("create", "--restore", "latest")
    assert again.returncode == 0, again.stderr
    assert "kept" in cluster.kubectl(master, "get configmap kept -n default -o name")
    assert cluster.run("create").returncode == 0
