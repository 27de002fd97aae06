"""A cluster without a private network: who reaches what, and a master that is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.realhosts.cluster import IN_THE_INTERNET, Cluster, assert_at_rest, assert_whole
from tests.realhosts.standing import MASTERS, WORKER, lose, standing

from hetzner_k3s.lab.realhosts.handle import LabHandle

OF_NODES = (2379, 2380, 6443, 10250)
"""Ports of a master that its own nodes reach and nobody else does."""


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give one cluster."""
    with standing(lab, tmp_path_factory.mktemp("cluster"), networking=IN_THE_INTERNET) as made:
        yield made


def address_of(cluster: Cluster, server: str) -> str:
    return str(cluster.lab.servers()[server]["public_net"]["ipv4"]["ip"])


def opens(address: str, port: int) -> str:
    """Return a script that ends well where a TCP connection is made, or refused by the host itself."""
    tried = f"timeout 2 bash -c 'exec 3<>/dev/tcp/{address}/{port}' 2>&1"
    return f"said=$({tried}) && exit 0; case $said in *refused*) exit 0;; esac; exit 1"


def assert_only_nodes_reach_it(cluster: Cluster) -> None:
    master = address_of(cluster, MASTERS[0])
    for port in OF_NODES:
        for node in (MASTERS[1], WORKER):
            assert cluster.lab.host(node).exec(opens(master, port)).returncode == 0, f"{node} to {port}"
        assert cluster.lab.run(["bash", "-c", opens(master, port)], check=False).returncode == 1, port


def test_its_nodes_reach_one_another_and_nobody_else_reaches_them(cluster: Cluster) -> None:
    assert not cluster.lab.resources("networks")
    assert_whole(cluster)
    assert_only_nodes_reach_it(cluster)
    assert_at_rest(cluster)


def test_a_lost_master_is_replaced_and_what_its_address_was_let_in_for_is_its_successors(cluster: Cluster) -> None:
    cluster.write_objects(MASTERS[1])
    objects = cluster.objects(MASTERS[1])
    processes = {name: cluster.process(name) for name in MASTERS[1:]}
    lose(cluster, MASTERS[0])
    cluster.create()
    assert_whole(cluster)
    assert_only_nodes_reach_it(cluster)
    assert {name: cluster.process(name) for name in MASTERS[1:]} == processes
    assert cluster.objects(MASTERS[0]) == objects
    (firewall,) = cluster.lab.resources("firewalls")
    (peers,) = [rule for rule in firewall["rules"] if (rule["protocol"], rule["port"]) == ("tcp", "any")]
    assert set(peers["source_ips"]) == {f"{address_of(cluster, name)}/32" for name in (*MASTERS, WORKER)}
    assert_at_rest(cluster)
