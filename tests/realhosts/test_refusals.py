"""What is not proven is refused: exit 4, what was seen, why, what can be done, and nothing is written anywhere.

One cluster stands for all of it. First come the states that heal by themselves, then master3's way down from a wiped
datastore to a lost server, and at the end what only its user can decide (test_disasters.py and test_restore.py go on).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.realhosts.cluster import Cluster, assert_whole
from tests.realhosts.killing import kill_once, said
from tests.realhosts.standing import MASTERS, WORKER, broken_api, healed, lose, refused, standing, told, until

from hetzner_k3s.lab.realhosts.handle import HostHandle, LabHandle

MASTER1, MASTER2, MASTER3 = MASTERS

_DB = "/var/lib/rancher/k3s/server/db"
_HEALTH = "curl -s -m 1 http://127.0.0.1:2381/health"
_OPERATION = "systemctl is-active hetzner-k3s-op"
_CONFIG = "/etc/rancher/k3s/config.yaml"


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Give the cluster that all tests of this file share.

    It begins on master1. Whichever is ready first begins one of three, and had it been master3, the second cluster that
    this one begins later would have the same member id: the first one's leader then speaks to it, and its etcd ends.
    """
    with standing(lab, tmp_path_factory.mktemp("refusals"), masters=1) as made:
        made.write_config()
        made.create()
        yield made


@dataclass(frozen=True)
class Silence:
    """A state of some hosts that is no proof of anything: how to bring it about, how it ends, what is to be said.

    A `slow` one may pass by itself, so `create` looks at it for a while before it refuses.
    """

    hosts: tuple[str, ...]
    strike: Callable[[HostHandle], object]
    heal: Callable[[HostHandle], object]
    said: tuple[str, ...]
    slow: bool = False


def _sh(script: str) -> Callable[[HostHandle], object]:
    return lambda host: host.exec(script, check=True)


def _cut_off(host: HostHandle) -> None:
    host.cut_private()
    until(lambda: "NO LEADER" in host.exec(_HEALTH).stdout, "it sees no leader")


SILENCES = {
    "a master is cut off from the others": Silence(
        (MASTER3,),
        _cut_off,
        HostHandle.heal,
        ("waiting for the cluster to come to rest", "master.not-ready", f"Master {MASTER3}", "RAFT NO LEADER"),
        slow=True,
    ),
    "no master can be reached by SSH": Silence(
        MASTERS,
        HostHandle.cut_ssh,
        HostHandle.heal,
        ("masters.none-healthy", *(f"{name}: unreachable" for name in MASTERS)),
    ),
    "a worker cannot be reached by SSH": Silence(
        (WORKER,),
        HostHandle.cut_ssh,
        HostHandle.heal,
        ("worker.unreachable", f"Worker {WORKER}", "no answer by SSH within 5 s"),
    ),
}


@pytest.mark.parametrize(
    "state", [pytest.param(s, marks=pytest.mark.slow) if SILENCES[s].slow else s for s in SILENCES]
)
def test_silence_is_not_death(state: str, cluster: Cluster) -> None:
    silence = SILENCES[state]
    hosts = [cluster.lab.host(name) for name in silence.hosts]
    try:
        for host in hosts:
            silence.strike(host)
        refused(cluster, *silence.said)
    finally:
        for host in hosts:
            silence.heal(host)
        healed(cluster)


def test_a_cluster_that_is_being_deleted_is_not_created_into(cluster: Cluster) -> None:
    """The run of `delete` fails at the first server, so all but the record is as it was; the test writes that back."""
    carriers = {kind: {r["id"]: r["labels"] for r in cluster.lab.resources(kind)} for kind in _CARRIERS}
    with broken_api(cluster.lab, "error", method="DELETE", path="/servers/.*", code="protected", always=True):
        assert cluster.run("delete", "--force").returncode != 0
    refused(cluster, "cluster.deleting", "A deletion of demo has begun", "Finish it with `hetzner-k3s delete")
    for kind, resources in carriers.items():
        for number, labels in resources.items():
            cluster.lab.client.api("PUT", f"/{kind}/{number}", {"labels": labels})
    healed(cluster)


_CARRIERS = ("servers", "placement_groups", "networks", "firewalls")


def test_a_wiped_master_begins_no_cluster(cluster: Cluster) -> None:
    host = cluster.lab.host(MASTER3)
    host.exec(f"rm -rf {_DB}; sync", check=True)
    cluster.lab.act(MASTER3, "reboot")
    until(lambda: "duplicate node name found" in _journal(cluster, MASTER3), "k3s finds its own old member")
    assert_holds_no_data(cluster, host)

    host.exec(f"sed -i '/^server:/d' {_CONFIG}; sync", check=True)
    cluster.lab.act(MASTER3, "reboot")
    until(lambda: "start guard: no etcd data and no server:" in _journal(cluster, MASTER3), "the start guard refuses")
    assert_holds_no_data(cluster, host)


def assert_holds_no_data(cluster: Cluster, host: HostHandle) -> None:
    """Assert that a host began no cluster: no log of a datastore, no birth, its old member still in the list."""
    assert host.exec(f"find {_DB} -name '*.wal'").stdout == ""
    assert cluster.births() == 1
    assert [m.name.rpartition("-")[0] for m in sorted(cluster.members(MASTER1), key=lambda m: m.name)] == list(MASTERS)


def _journal(cluster: Cluster, server: str) -> str:
    return told(cluster, server, "journalctl --boot --unit k3s --output cat --no-pager")


def test_a_second_cluster_of_the_same_ca_is_told_by_its_uid(cluster: Cluster) -> None:
    """What k3s does to a wiped master that has no `server:` line, were it not for the guard.

    See docs/facts/k3s.md#start-decision.
    """
    host = cluster.lab.host(MASTER3)
    host.exec(
        f"systemctl stop k3s; rm -rf {_DB}; sed -i '/^server:/d' {_CONFIG}; mkdir -p /run/hetzner-k3s; "
        "echo K3S_CLUSTER_INIT=true >/run/hetzner-k3s/birth; systemctl start --no-block k3s",
        check=True,
    )
    until(lambda: host.exec("systemctl is-active k3s").stdout == "active\n", "the second cluster runs")
    ours, theirs = cluster.identity(MASTER1), cluster.identity(MASTER3)
    assert ours[0] == theirs[0]
    refused(
        cluster,
        "identity.split",
        f"kube-system UID {ours[1][:8]} on {MASTER1}, {MASTER2}",
        f"kube-system UID {theirs[1][:8]} on {MASTER3}",
        f"The birth record names that of {MASTER1}, {MASTER2}.",
    )


def test_a_fresh_replacement_is_no_reason_to_give_up_survivors_that_are_silent(cluster: Cluster) -> None:
    lose(cluster, MASTER3)
    kill_once(cluster, lambda talk: said(talk, MASTER3, "installing k3s"), "create")
    until(lambda: all(told(cluster, name, _OPERATION) == "inactive\n" for name in MASTERS), "no operation goes on")
    survivors = [cluster.lab.host(MASTER1), cluster.lab.host(MASTER2)]
    for host in survivors:
        host.cut_ssh()
    seen = (f"{MASTER1}: unreachable", f"{MASTER2}: unreachable", f"{MASTER3}: ")
    refused(cluster, "masters.none-healthy", "was initialized", *seen, "Delete no server meanwhile")
    for host in survivors:
        host.heal()
    cluster.create()
    assert_whole(cluster)


def test_two_lost_masters_of_three_are_not_replaced_by_a_new_cluster(cluster: Cluster) -> None:
    lose(cluster, MASTER1)
    lose(cluster, MASTER2)
    until(lambda: "NO LEADER" in told(cluster, MASTER3, _HEALTH), "quorum is lost")
    seen = (*(f"{name}: its server is deleted" for name in (MASTER1, MASTER2)), f"--reset-quorum-from {MASTER3}")
    refused(cluster, "quorum.lost", *seen, restless=(MASTER3,))


def test_a_cluster_without_masters_is_not_born_again(cluster: Cluster) -> None:
    for name in cluster.masters():
        lose(cluster, name)
    refused(cluster, "masters.all-lost", "was initialized", "all its masters are lost", "--new-cluster-over")


@pytest.mark.slow
def test_the_only_master_wiped_begins_no_cluster(fresh_lab: LabHandle, tmp_path: Path) -> None:
    """It has no other master to join, so nothing but the start guard stands between its reboot and a new cluster."""
    cluster = Cluster(fresh_lab, tmp_path, masters=1, workers=0)
    cluster.create()
    host = fresh_lab.host(MASTER1)
    host.exec(f"rm -rf {_DB}; sync", check=True)
    fresh_lab.act(MASTER1, "reboot")
    until(lambda: "start guard: no etcd data" in _journal(cluster, MASTER1), "the start guard refuses")
    seen = f"{MASTER1}: without its data, no data on its disk"
    refused(cluster, "masters.all-lost", "was initialized", seen, "--new-cluster-over", restless=(MASTER1,))
    assert host.exec(f"find {_DB} -name '*.wal'").stdout == ""
    assert cluster.births() == 1
