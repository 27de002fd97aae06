"""A cluster of one master is born; workers come when the file asks for them, and come back when they are lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.realhosts.cluster import NAME, Cluster, assert_at_rest, assert_whole
from tests.realhosts.standing import lose

from hetzner_k3s.lab.realhosts.handle import LabHandle

MASTER = f"{NAME}-master1"
WORKER1, WORKER2 = f"{NAME}-pool-small-worker1", f"{NAME}-pool-small-worker2"


def uid(cluster: Cluster, kind: str, name: str) -> str:
    """Read the UID of an object."""
    return cluster.kubectl(MASTER, f"get {kind} -n kube-system {name} -o jsonpath='{{.metadata.uid}}'")


def labels_and_taints_come_and_go(cluster: Cluster) -> None:
    """Have the file name a label and a taint of the pool and drop them again, and see what was set by hand stay."""
    plain, pool = cluster.config.read_text(), "    location: fsn1\n"
    marks = '    labels: [{key: tier, value: web}]\n    taints: [{key: gpu, value: "yes:NoSchedule"}]\n'
    cluster.config.write_text(plain.replace(pool, pool + marks))
    cluster.kubectl(MASTER, f"label node {WORKER1} mine=1")
    cluster.kubectl(MASTER, f"taint node {WORKER1} broken-disk:NoSchedule")
    cluster.create()
    for name in (WORKER1, WORKER2):
        found = cluster.nodes(MASTER)[name]
        assert found["metadata"]["labels"]["tier"] == "web"
        assert {"key": "gpu", "value": "yes", "effect": "NoSchedule"} in found["spec"]["taints"]
    assert_at_rest(cluster)
    cluster.config.write_text(plain)
    cluster.create()
    labelled, other = cluster.nodes(MASTER)[WORKER1], cluster.nodes(MASTER)[WORKER2]
    assert labelled["metadata"]["labels"]["mine"] == "1"
    assert labelled["spec"]["taints"] == [{"key": "broken-disk", "effect": "NoSchedule"}]
    assert "tier" not in labelled["metadata"]["labels"] | other["metadata"]["labels"]
    assert not other["spec"].get("taints")
    cluster.kubectl(MASTER, f"taint node {WORKER1} broken-disk-")


def test_workers_are_added_and_replaced(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=1)
    cluster.create()
    assert_whole(cluster, masters=1)
    born = cluster.process(MASTER)

    first = cluster.process(WORKER1, "k3s-agent")
    cluster.write_config(masters=1, workers=2)
    cluster.create()
    assert_whole(cluster, masters=1)
    assert WORKER2 in cluster.nodes(MASTER)
    assert cluster.process(WORKER1, "k3s-agent") == first

    second = cluster.process(WORKER2, "k3s-agent")
    labels_and_taints_come_and_go(cluster)

    node, password = uid(cluster, "node", WORKER1), uid(cluster, "secret", f"{WORKER1}.node-password.k3s")
    server = cluster.lab.servers()[WORKER1]["id"]
    lose(cluster, WORKER1)
    cluster.create()
    assert_whole(cluster, masters=1)
    assert cluster.lab.servers()[WORKER1]["id"] != server
    assert uid(cluster, "node", WORKER1) != node
    assert uid(cluster, "secret", f"{WORKER1}.node-password.k3s") != password
    assert cluster.process(WORKER2, "k3s-agent") == second

    assert cluster.process(MASTER) == born
    assert cluster.births() == 1
    assert_at_rest(cluster)


@pytest.mark.slow
def test_one_master_is_a_cluster_of_its_own(fresh_lab: LabHandle, tmp_path: Path) -> None:
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=0)
    cluster.create()
    assert_whole(cluster, masters=1)
    assert cluster.births() == 1
    assert not cluster.nodes(MASTER)[MASTER]["spec"].get("taints")
    assert_at_rest(cluster)
    cluster.delete()
    assert cluster.lab.servers() == {}
