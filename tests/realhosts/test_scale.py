"""The file asks for more masters, then for fewer: joined one by one, and led out only with `--prune`."""

from __future__ import annotations

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
