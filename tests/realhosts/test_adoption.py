"""A cluster that hetzner-k3s 2.x made is adopted on real hosts as it is, then repaired, grown and upgraded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.realhosts import clusters_of_2x
from tests.realhosts.cluster import Cluster, tell
from tests.realhosts.standing import MASTERS, WORKER, lose

from hetzner_k3s.lab.realhosts.handle import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

OLD, NEW = "v1.35.2+k3s1", "v1.36.3+k3s1"
FIVE = (*MASTERS, "demo-master4", "demo-master5")


@contextmanager
def of_2x(lab: LabHandle, folder: Path, *, masters: int = 3) -> Iterator[Cluster]:
    """Make a cluster of 2.x with an older k3s, and empty the project afterwards."""
    lab.reset()
    made = Cluster(lab, folder, masters=masters, workers=1)
    made.config.write_text(made.config.read_text().replace(f"k3s_version: {NEW}", f"k3s_version: {OLD}"))
    try:
        made.create()
        clusters_of_2x.make_of_2x(made)
        yield made
    finally:
        lab.reset()


@pytest.fixture
def cluster(lab: LabHandle, tmp_path: Path) -> Iterator[Cluster]:
    """Give a cluster of 2.x with three masters, a worker, and objects."""
    with of_2x(lab, tmp_path) as made:
        made.write_objects(MASTERS[1])
        yield made


def ca8(cluster: Cluster) -> str:
    """Return the digits that a plan shows to adopt the cluster by."""
    refused = cluster.create(expect=4)
    assert "cluster.of-2x" in refused.stderr
    found = re.search(r"--adopt ([0-9a-f]{8})", refused.stderr)
    assert found is not None, refused.stderr
    return found[1]


def adopt(cluster: Cluster) -> None:
    """Adopt a cluster: no process of k3s and no byte of a host is another one afterwards."""
    before = clusters_of_2x.units(cluster)
    digits = ca8(cluster)
    adopted = cluster.run("create", "--adopt", digits)
    assert adopted.returncode in {0, 3}, adopted.stderr
    assert clusters_of_2x.units(cluster) == before


def test_it_is_adopted_repaired_grown_and_upgraded(cluster: Cluster) -> None:
    identity, objects = cluster.identity(MASTERS[1]), cluster.objects(MASTERS[1])
    adopt(cluster)
    before = clusters_of_2x.units(cluster)
    cluster.create()
    assert clusters_of_2x.units(cluster) == before
    assert "made by hetzner-k3s 2.x, adopted on" in cluster.run("status").stdout

    others = {name: cluster.process(name) for name in MASTERS[1:]} | {WORKER: cluster.process(WORKER, "k3s-agent")}
    lose(cluster, MASTERS[0])
    cluster.create()
    for name, process in others.items():
        assert cluster.process(name, "k3s-agent" if name == WORKER else "k3s") == process
    assert sorted(m.name.rpartition("-")[0] for m in cluster.members(MASTERS[0])) == [*MASTERS]

    more = cluster.config.read_text().replace("instance_count: 3", "instance_count: 5", 1)
    cluster.config.write_text(more.replace("[fsn1, hel1, nbg1]", "[fsn1, hel1, nbg1, fsn1, hel1]"))
    cluster.create()
    assert sorted(m.name.rpartition("-")[0] for m in cluster.members(MASTERS[0])) == [*FIVE]

    upgraded = cluster.run("upgrade", "--new-k3s-version", NEW)
    assert upgraded.returncode == 0, upgraded.stderr
    nodes = cluster.nodes(MASTERS[0])
    assert {name: node["status"]["nodeInfo"]["kubeletVersion"] for name, node in nodes.items()} == dict.fromkeys(
        [*FIVE, WORKER], NEW
    )
    for name in FIVE:
        assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
    status = cluster.run("status")
    tell("status", status.stdout)
    assert status.returncode == 0
    _addons_are_taken_over(cluster)


def _addons_are_taken_over(cluster: Cluster) -> None:
    """Have charts of ours in the place of what 2.x applied; what volumes need stays the very same."""
    kept = "get storageclass/hcloud-volumes csidriver/csi.hetzner.cloud -o jsonpath={.items[*].metadata.uid}"
    before = cluster.kubectl(MASTERS[0], kept)
    rolled = cluster.run("create", "--rollout", "addons")
    tell("create --rollout addons", rolled.stderr)
    assert rolled.returncode == 0, rolled.stderr
    assert "is up to date" in rolled.stderr
    charts = cluster.kubectl(MASTERS[0], "get helmcharts.helm.cattle.io -n kube-system -o name").split()
    assert sorted(name.rpartition("/")[2] for name in charts) == ["hcloud-cloud-controller-manager", "hcloud-csi"]
    assert cluster.kubectl(MASTERS[0], kept) == before
    again = cluster.run("create", "--rollout", "addons")
    assert again.returncode == 0, again.stderr
    assert "up to date; total time" in again.stderr


def test_one_whose_first_master_is_lost_is_adopted_and_brought_back(cluster: Cluster) -> None:
    """2.x makes a new server of the lost one's name, whose k3s never joins (docs/guides/coming-from-2x.md)."""
    identity, objects = cluster.identity(MASTERS[1]), cluster.objects(MASTERS[1])
    lose(cluster, MASTERS[0])
    adopt(cluster)
    others = {name: cluster.process(name) for name in MASTERS[1:]}
    cluster.create()
    assert {name: cluster.process(name) for name in others} == others
    assert sorted(m.name.rpartition("-")[0] for m in cluster.members(MASTERS[0])) == [*MASTERS]
    assert (cluster.identity(MASTERS[0]), cluster.objects(MASTERS[0])) == (identity, objects)


def test_one_whose_only_master_is_lost_stays_as_it_is(lab: LabHandle, tmp_path: Path) -> None:
    with of_2x(lab, tmp_path, masters=1) as made:
        lose(made, MASTERS[0])
        worker = made.process(WORKER, "k3s-agent")
        refused = made.create(expect=4)
        assert "birth.not-empty" in refused.stderr
        assert made.process(WORKER, "k3s-agent") == worker
        assert sorted(made.lab.servers()) == [WORKER]
