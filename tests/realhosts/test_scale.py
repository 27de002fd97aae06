"""The file asks for more masters, then for fewer: joined one by one, and led out only with `--prune`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.realhosts.cluster import Cluster, assert_at_rest, assert_whole
from tests.realhosts.standing import standing

from hetzner_k3s.lab.realhosts.handle import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give a cluster of one master, which the test of this file grows and shrinks."""
    with standing(lab, tmp_path_factory.mktemp("scale"), masters=1) as made:
        made.write_objects("demo-master1")
        yield made


def test_one_master_becomes_three_and_two_workers_and_both_go_again(cluster: Cluster) -> None:
    first = "demo-master1"
    identity, objects, process = cluster.identity(first), cluster.objects(first), cluster.process(first)

    def kept(masters: int) -> None:
        assert_whole(cluster, masters)
        for name in cluster.masters():
            assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
        assert cluster.process(first) == process
        assert cluster.births() == 1
        assert_at_rest(cluster)

    cluster.write_config(masters=3, workers=2)
    cluster.create()
    kept(3)

    cluster.write_config(masters=1, workers=1)
    listed, members = set(cluster.lab.servers()), cluster.members(first)
    assert "demo-master3 is beyond the file and is left as it is" in cluster.create().stderr
    assert (set(cluster.lab.servers()), cluster.members(first)) == (listed, members)

    cluster.create("--prune")
    assert sorted(cluster.lab.servers()) == ["demo-master1", "demo-pool-small-worker1"]
    kept(1)


_SPEC = {
    "capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"],
    "hostPath": {"path": "/data"},
    "claimRef": {"namespace": "default", "name": "data-web-0"},
}
_VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "pvc-1"},
    "status": {"phase": "Bound"},
}


def test_a_volume_that_lands_on_a_drained_node_keeps_its_server(cluster: Cluster) -> None:
    """The Node was drained an hour ago; what came since, by whatever label, is looked at right before it goes."""
    first, worker = "demo-master1", "demo-pool-small-worker2"
    cluster.write_config(masters=1, workers=2)
    cluster.create()
    cluster.kubectl(first, f"label node {worker} topology.example.com/rack=7")
    cluster.kubectl(first, f"annotate node {worker} hetzner-k3s/leaving=drained")
    cluster.kubectl(first, f"cordon {worker}")
    rule = {"key": "topology.example.com/rack", "operator": "In", "values": ["7"]}
    affinity = {"nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}}
    volume = json.dumps(_VOLUME | {"spec": {**_SPEC, **affinity}})
    cluster.sh(first, f"printf %s '{volume}' | k3s kubectl apply -f - >/dev/null")
    cluster.write_config(masters=1, workers=1)
    refused = cluster.create("--prune", expect=1)
    assert "holds the only copy of the volumes of these claims: default/data-web-0" in refused.stderr
    assert worker in cluster.lab.servers()
    cluster.kubectl(first, "delete persistentvolume pvc-1")
    cluster.create("--prune")
    assert worker not in cluster.lab.servers()
    assert_at_rest(cluster)
