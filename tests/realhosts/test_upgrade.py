"""An upgrade on real hosts: refused before anything where it cannot go well, cut off again and again, and complete."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.realhosts.cluster import Cluster, assert_at_rest, assert_whole, lost_writes, probing
from tests.realhosts.standing import MASTERS, WORKER
from tests.realhosts.test_rollout import balanced, killed_after

from hetzner_k3s.lab.realhosts.handle import LabHandle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

OLD, NEW = "v1.35.2+k3s1", "v1.36.3+k3s1"
WORKERS = (WORKER, "demo-pool-small-worker2")


@pytest.fixture
def cluster(lab: LabHandle, tmp_path: Path) -> Iterator[Cluster]:
    """Give a cluster of an older k3s."""
    lab.reset()
    made = Cluster(lab, tmp_path, workers=2, more=balanced())
    made.config.write_text(made.config.read_text().replace(f"k3s_version: {NEW}", f"k3s_version: {OLD}  # for now"))
    try:
        made.create()
        made.write_objects(MASTERS[0])
        yield made
    finally:
        lab.reset()


def versions(cluster: Cluster) -> dict[str, str]:
    """Return the k3s that each Node is of."""
    return {name: node["status"]["nodeInfo"]["kubeletVersion"] for name, node in cluster.nodes(MASTERS[0]).items()}


def guard_a_pod(cluster: Cluster, node: str) -> None:
    """Let a pod run on a node, with a disruption budget that lets it go at no time."""
    labels = {"app": "guarded"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "guarded", "uid": "1", "controller": True}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "guarded",
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {"nodeName": node, "containers": [{"name": "guarded", "image": "guarded"}]},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "guarded"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
    }
    for item in (pod, budget):
        cluster.sh(MASTERS[0], f"printf %s '{json.dumps(item)}' | k3s kubectl apply -n default -f - >/dev/null")


def test_every_host_gets_the_new_release_and_nothing_is_lost(cluster: Cluster) -> None:
    identity, objects = cluster.identity(MASTERS[0]), cluster.objects(MASTERS[0])
    assert set(versions(cluster).values()) == {OLD}
    for version, code in (("v1.99.0+k3s1", "upgrade.no-release"), ("v1.34.1+k3s1", "upgrade.downgrade")):
        done = cluster.run("upgrade", "--new-k3s-version", version)
        assert done.returncode == 4
        assert code in done.stderr
    command = ("upgrade", "--new-k3s-version", NEW)
    with probing(cluster, list(MASTERS)):
        for moment in ("fetching k3s", "starting its k3s anew", "evicting its pods"):
            killed_after(cluster, moment, *command)
        guard_a_pod(cluster, WORKERS[1])
        upgrade = cluster.start(*command)
        assert upgrade.stderr is not None
        assert any("still runs default/guarded" in line for line in upgrade.stderr), "its drain waits for the budget"
        cluster.kubectl(MASTERS[1], "delete poddisruptionbudget guarded")
        said = upgrade.stderr.read()
        assert upgrade.wait() == 0, said
    assert versions(cluster) == dict.fromkeys([*MASTERS, *WORKERS], NEW)
    assert f"k3s_version: {NEW}  # for now\n" in cluster.config.read_text()
    for name in MASTERS:
        assert lost_writes(cluster, name, MASTERS[0]) == set()
        assert (cluster.identity(name), cluster.objects(name)) == (identity, objects)
    assert not [node for node in cluster.nodes(MASTERS[0]).values() if node["spec"].get("unschedulable")]
    assert_whole(cluster)
    assert_at_rest(cluster)
