"""All masters are lost on real hosts: a snapshot and a token bring the cluster back, the first time, wherever it is."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.realhosts.cluster import NAME, Cluster, assert_whole
from tests.realhosts.standing import lose

from hetzner_k3s.lab.realhosts.handle import LabHandle
from hetzner_k3s.lab.realhosts.storage import BUCKET, ENDPOINT

pytest.importorskip("moto")


def _s3(folder: Path) -> str:
    """Give the section of the file; each test has a folder of its own, for the lab's S3 outlives its clusters."""
    return f"""datastore:
  etcd:
    s3_enabled: true
    s3_endpoint: {ENDPOINT}
    s3_region: us-east-1
    s3_bucket: {BUCKET}
    s3_access_key: AKEXAMPLE
    s3_secret_key: of-no-use-here
    s3_force_path_style: true
    s3_folder: {folder.name}
"""


@pytest.mark.slow
def test_all_masters_lost_and_restored_from_s3(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=1, more=_s3(tmp_path))
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


MASTERS = tuple(f"{NAME}-master{index}" for index in (1, 2, 3))
_LOOP = 30.0
"""Seconds in which a k3s that ends at each start has ended at least once (docs/facts/k3s.md#restored-node: 14-18 s)."""


def _from_s3(cluster: Cluster) -> str:
    assert cluster.run("backup", "--to", str(cluster.folder / "elsewhere")).returncode == 0  # k3s copies it to S3
    return "latest"


def _from_folder(cluster: Cluster) -> str:
    folder = cluster.folder / "backup"
    assert cluster.run("backup", "--to", str(folder)).returncode == 0
    return str(folder)


def _from_file(cluster: Cluster) -> str:
    """Copy a snapshot off a master by hand; the token is on the worker."""
    cluster.sh(MASTERS[0], "k3s etcd-snapshot save --name by-hand")
    name = cluster.sh(MASTERS[0], "ls /var/lib/rancher/k3s/server/db/snapshots | grep by-hand")
    content = cluster.sh(MASTERS[0], f"base64 -w0 /var/lib/rancher/k3s/server/db/snapshots/{name}")
    (cluster.folder / name).write_bytes(base64.b64decode(content))
    return f"./{name}"


def _restarts(cluster: Cluster, masters: list[str]) -> dict[str, str]:
    return {name: cluster.sh(name, "systemctl show k3s -p NRestarts -p MainPID") for name in masters}


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [False, True], ids=["same addresses", "other addresses"])
@pytest.mark.parametrize("source", [_from_s3, _from_folder, _from_file])
def test_a_restore_ends_well_the_first_time(
    source: Callable[[Cluster], str], elsewhere: bool, fresh_lab: LabHandle, tmp_path: Path
) -> None:
    """The Nodes of the lost masters name servers and addresses that are gone: beside them k3s ended for ever."""
    count = 3 if source is _from_s3 else 1
    cluster = Cluster(fresh_lab, tmp_path, masters=count, workers=1, more=_s3(tmp_path) if source is _from_s3 else "")
    cluster.create()
    masters = cluster.masters()
    cluster.write_objects(masters[0])
    kept, identity = cluster.objects(masters[0]), cluster.identity(masters[0])
    wanted = source(cluster)
    before = {name: server["private_net"][0]["ip"] for name, server in fresh_lab.servers().items()}
    for name in masters:
        lose(cluster, name)
    if elsewhere:
        for number, _ in enumerate(masters):
            _take_an_address(cluster, f"somebodys-{number}")
    cluster.create("--restore", wanted)
    after = {name: server["private_net"][0]["ip"] for name, server in fresh_lab.servers().items()}
    assert ({after[name] for name in masters} == {before[name] for name in masters}) != elsewhere
    assert cluster.objects(masters[0]) == kept
    assert cluster.identity(masters[0]) == identity
    _nodes_are_those_of_the_masters(cluster, after)
    seen = _restarts(cluster, masters)
    time.sleep(_LOOP)  # whatever a look says: only time tells a k3s that ends at each start
    assert _restarts(cluster, masters) == seen
    if elsewhere:
        for number, _ in enumerate(masters):
            lose(cluster, f"somebodys-{number}")
    assert_whole(cluster, count)
    cluster.create()


def _take_an_address(cluster: Cluster, name: str) -> None:
    """Let a server of somebody else take the lowest free address of the cluster's network."""
    (network,) = cluster.lab.resources("networks")
    order = {"name": name, "server_type": "cpx22", "image": "debian-12", "location": "fsn1"}
    answer = cluster.lab.client.api("POST", "/servers", {**order, "networks": [network["id"]]})
    for action in (answer["action"], *answer["next_actions"]):
        cluster.lab.finish(action)


def _nodes_are_those_of_the_masters(cluster: Cluster, addresses: dict[str, str]) -> None:
    numbers = {name: server["id"] for name, server in cluster.lab.servers().items()}
    nodes = cluster.nodes(cluster.masters()[0])
    for name in cluster.masters():
        internal = [a["address"] for a in nodes[name]["status"]["addresses"] if a["type"] == "InternalIP"]
        assert internal == [addresses[name]], name
        assert nodes[name]["spec"].get("providerID") in {None, f"hcloud://{numbers[name]}"}, name
