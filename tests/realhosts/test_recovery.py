"""The headline: any one master is lost, `create` is run again, and nothing is lost with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.realhosts.cluster import NAME, Cluster, assert_at_rest, assert_whole, longest_gap, lost_writes, probing, tell
from tests.realhosts.standing import lose, standing, until

from hetzner_k3s.lab.realhosts.handle import LabHandle

LONGEST_GAP = 10.0
"""Seconds that a survivor's API may take no write, with a new leader elected meanwhile."""


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give one cluster that loses a master in each test; each leaves it whole."""
    with standing(lab, tmp_path_factory.mktemp("cluster")) as made:
        yield made


def lose_node_too(cluster: Cluster, name: str) -> None:
    """Delete a server, and then its Node, as a user or a cloud controller would.

    They ask again: when the lost master led, a write during the election ends in "etcdserver: leader changed". Long,
    since k3s takes its finalizer off only when the member is gone, and tries that again after longer and longer pauses.
    """
    lose(cluster, name)
    delete = f"k3s kubectl delete node {name} --ignore-not-found --wait=true --timeout=60s"
    survivor = cluster.lab.host(cluster.masters()[0])
    until(lambda: survivor.exec(delete).returncode == 0, f"Node {name} is deleted", within=240.0)


LOSSES: dict[str, tuple[Callable[[Cluster], str], Callable[[Cluster, str], None]]] = {
    "master1": (lambda _: f"{NAME}-master1", lose),
    "master2": (lambda _: f"{NAME}-master2", lose),
    "the etcd leader": (Cluster.leader, lose),
    "master1 whose Node was deleted": (lambda _: f"{NAME}-master1", lose_node_too),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_lost_master_is_replaced_and_nothing_is_lost(loss: str, cluster: Cluster) -> None:
    choose, strike = LOSSES[loss]
    assert_whole(cluster)
    victim = choose(cluster)
    survivors = [name for name in cluster.masters() if name != victim]
    cluster.write_objects(victim)
    identity, objects = cluster.identity(victim), cluster.objects(victim)
    server = cluster.lab.servers()[victim]["id"]
    processes = {name: cluster.process(name) for name in survivors}

    with probing(cluster, survivors):
        strike(cluster, victim)
        cluster.create()

    assert_whole(cluster)
    assert cluster.lab.servers()[victim]["id"] != server
    for name in cluster.masters():
        assert cluster.identity(name) == identity
        assert cluster.objects(name) == objects
    assert {name: cluster.process(name) for name in survivors} == processes
    gaps = {name: longest_gap(cluster, name) for name in survivors}
    tell("longest gap between writes", f"{gaps} s")
    assert max(gaps.values()) <= LONGEST_GAP, gaps
    assert {name: lost_writes(cluster, name, victim) for name in survivors} == {name: set() for name in survivors}
    assert_at_rest(cluster)
