"""What happens to a cluster that loses masters, driven anew.

The recordings runs/02-04, 05-07, 09-10, 12, 13 and 22 (docs/facts/recordings.md#runs).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from .clusters import TOKEN, birth, has_no_leader, join, lease_holder, three_masters, token_of
from .rig import PASSWORD, Host, Rig, eventually

pytestmark = pytest.mark.realhosts


@pytest.fixture
def trio(new_rig: Callable[..., Rig]) -> Iterator[tuple[Rig, Host, Host, Host]]:
    rig = new_rig()
    first, second, third = three_masters(rig)
    yield rig, first, second, third
    rig.close()


def test_deleted_master1_is_replaced_under_its_name(trio: tuple[Rig, Host, Host, Host]) -> None:
    rig, first, second, third = trio
    uid = second.objects("ns", "kube-system")["metadata"]["uid"]
    first.kubectl("create", "configmap", "before-loss", "--from-literal=a=b")
    fresh = rig.replace(first)
    eventually("writes go on", lambda: "created" in second.kubectl("create", "cm", "probe", check=False), 15)

    fresh.server_config(server=f"https://{second.address}:6443", token=token_of(second))
    fresh.start()
    assert fresh.wait_end() == 0
    assert (
        'level=error msg="Shutdown request received: \\"etcd cluster join failed: '
        'duplicate node name found, please use a unique name for this node\\""'
    ) in fresh.log
    assert fresh.path(TOKEN).exists()
    assert not fresh.path("/var/lib/rancher/k3s/server/db/etcd/member").exists()

    eventually("a survivor leads", lambda: lease_holder(second, "k3s-etcd") in ("master2", "master3"), 20)
    second.kubectl("delete", "node", "master1")
    eventually("member gone", lambda: "master1" not in second.members(), 5)
    secrets = [row["metadata"]["name"] for row in second.objects("secret", "-n", "kube-system")["items"]]
    assert "master1.node-password.k3s" not in secrets

    fresh.start()
    second.promote("master1")
    fresh.wait_ready()
    assert sorted(second.members()) == ["master1", "master2", "master3"]
    assert not any(row.get("isLearner") for row in second.members().values())
    assert fresh.objects("ns", "kube-system")["metadata"]["uid"] == uid
    assert fresh.objects("cm", "before-loss")["data"] == {"a": "b"}
    assert third.process is not None
    assert third.process.poll() is None


@pytest.mark.slow
def test_member_removed_by_gateway_and_rejoined_with_another_address(trio: tuple[Rig, Host, Host, Host]) -> None:
    rig, first, _, third = trio
    old_uid = first.objects("node", "master3")["metadata"]["uid"]
    dead = first.members()["master3"]["ID"]
    third.kill()
    eventually("removed", lambda: first.gateway("cluster/member/remove", {"ID": dead}).code == 200, 15)
    again = first.gateway("cluster/member/remove", {"ID": dead})
    assert (again.code, again.json["message"], again.json["code"]) == (404, "etcdserver: member not found", 5)

    fresh = rig.replace(third, "10.0.0.40")
    join(rig, "master3", first)
    node = first.objects("node", "master3")
    assert node["metadata"]["uid"] == old_uid
    eventually(
        "annotations follow",
        lambda: (
            first.objects("node", "master3")["metadata"]["annotations"]["etcd.k3s.cattle.io/node-address"]
            == "10.0.0.40"
        ),
        5,
    )
    eventually("event", lambda: "NodePasswordValidationFailed" in fresh.kubectl("get", "events", "-n", "default"), 5)


def etcd_address(host: Host, node: str) -> str:
    annotations: dict[str, str] = host.objects("node", node)["metadata"]["annotations"]
    return annotations.get("etcd.k3s.cattle.io/node-address", "")


@pytest.mark.slow
def test_db_wiped_tls_kept(trio: tuple[Rig, Host, Host, Host]) -> None:
    rig, first, second, _ = trio
    ca = first.sh("sha256sum /var/lib/rancher/k3s/server/tls/server-ca.crt")
    uid = second.objects("ns", "kube-system")["metadata"]["uid"]
    member = second.members()["master1"]["ID"]
    # As recorded, master1 is no longer the member it was: else etcd 3.5 panics over the survivors' heartbeats.
    first.kill()
    eventually("removed", lambda: second.gateway("cluster/member/remove", {"ID": member}).code == 200, 15)
    first.wipe("/var/lib/rancher/k3s/server/db")
    join(rig, "master1", second)
    assert second.members()["master1"]["ID"] != member

    first.stop()
    first.wipe("/var/lib/rancher/k3s/server/db")
    first.start()
    assert first.wait_end() == 0
    assert "duplicate node name found" in first.log
    assert [path.name for path in first.path("/var/lib/rancher/k3s/server/db/etcd").iterdir()] == ["name"]

    first.wipe("/var/lib/rancher/k3s/server/db")
    first.server_config()
    first.start().wait_ready()
    assert 'msg="Starting etcd for new cluster, cluster-reset=false"' in first.log
    assert first.sh("sha256sum /var/lib/rancher/k3s/server/tls/server-ca.crt") == ca
    assert first.members()["master1"]["ID"] == member
    assert first.objects("ns", "kube-system")["metadata"]["uid"] != uid
    assert second.objects("ns", "kube-system")["metadata"]["uid"] == uid


def test_quorum_lost_and_reset(trio: tuple[Rig, Host, Host, Host]) -> None:
    _, first, second, third = trio
    uid = second.objects("ns", "kube-system")["metadata"]["uid"]
    before = second.gateway("maintenance/status", {}).json
    second.kubectl("create", "cm", "before-quorum-loss")
    first.kill()
    third.kill()
    eventually("no leader", lambda: has_no_leader(second), 15)
    info = second.curl("https://127.0.0.1:6443/db/info")
    assert (info.code, info.json["message"]) == (
        500,
        "Internal error occurred: failed to get etcd MemberList: context deadline exceeded",
    )
    assert second.curl("https://127.0.0.1:6443/ping").body == "pong"
    second.stop()

    second.server_config()
    second.start("--cluster-reset")
    assert second.wait_end() == 0
    assert "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now" in second.log
    assert 'msg="Starting etcd for new cluster, cluster-reset=true"' in second.log
    assert second.path("/var/lib/rancher/k3s/server/db/reset-flag").exists()
    assert list(second.path("/var/lib/rancher/k3s/server").glob("tls-*"))

    second.start().wait_ready()
    after = second.gateway("maintenance/status", {}).json
    assert list(second.members()) == ["master2"]
    assert after["header"]["cluster_id"] == before["header"]["cluster_id"]
    assert after["header"]["member_id"] == before["header"]["member_id"]
    assert int(after["header"]["revision"]) > int(before["header"]["revision"])
    assert second.objects("ns", "kube-system")["metadata"]["uid"] == uid
    assert "before-quorum-loss" in second.kubectl("get", "cm")
    assert not second.path("/var/lib/rancher/k3s/server/db/reset-flag").exists()


@pytest.mark.slow
def test_old_members_return_after_a_reset(trio: tuple[Rig, Host, Host, Host]) -> None:
    _, first, second, third = trio
    second.kill()
    third.kill()
    first.stop()
    first.server_config()
    first.start("--cluster-reset")
    assert first.wait_end() == 0
    first.start().wait_ready()
    third.start()
    eventually("told that it was removed", lambda: "has been removed from the cluster" in third.log, 15)
    assert not third.path("/var/lib/rancher/k3s/server/db/etcd/tombstone").exists()
    assert has_no_leader(third)
    assert third.process is not None
    assert third.process.poll() is None
    first.kill()
    third.kill()
    second.start()
    third.start()
    second.wait_ready()
    third.wait_ready()
    assert sorted(second.members()) == ["master1", "master2", "master3"]


@pytest.mark.slow
def test_cold_start_waits_for_quorum(trio: tuple[Rig, Host, Host, Host]) -> None:
    _, first, second, third = trio
    first.kubectl("create", "cm", "before-cold")
    for host in (first, second, third):
        host.stop()
    first.start()
    eventually("etcd waits", lambda: has_no_leader(first), 10)
    assert not first.is_ready()
    second.start().wait_ready()
    third.start().wait_ready()
    first.wait_ready()
    assert "before-cold" in third.kubectl("get", "cm")


def test_restore_on_a_fresh_host(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    first = birth(rig)
    uid = first.objects("ns", "kube-system")["metadata"]["uid"]
    ca = first.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt")
    cluster = first.gateway("maintenance/status", {}).json["header"]["cluster_id"]
    first.kubectl("create", "cm", "before-total-loss")
    first.sh("k3s etcd-snapshot save --name full")
    (snapshot,) = first.path("/var/lib/rancher/k3s/server/db/snapshots").iterdir()
    saved = snapshot.read_bytes()
    first.kubectl("create", "cm", "after-snapshot")
    fresh = rig.replace(first)
    fresh.path("/root/full").write_bytes(saved)

    fresh.server_config(token="another")
    fresh.start("--cluster-reset", "--cluster-reset-restore-path=/root/full")
    assert fresh.wait_end() == 0
    assert "bootstrap data already found and encrypted with different token" in fresh.log
    assert "Managed etcd cluster membership has been reset" not in fresh.log
    fresh.wipe("/var/lib/rancher/k3s/server")

    fresh.server_config(token=PASSWORD)
    fresh.start("--cluster-reset", "--cluster-reset-restore-path=/nope")
    assert fresh.wait_end() == 1
    assert "etcd: snapshot path does not exist: /nope" in fresh.log
    fresh.wipe("/var/lib/rancher/k3s/server")

    fresh.start("--cluster-reset", "--cluster-reset-restore-path=/root/full")
    assert fresh.wait_end() == 0
    assert "Managed etcd cluster membership has been reset" in fresh.log
    fresh.start().wait_ready()
    assert fresh.sh("sha256sum < /var/lib/rancher/k3s/server/tls/server-ca.crt") == ca
    assert fresh.objects("ns", "kube-system")["metadata"]["uid"] == uid
    assert fresh.gateway("maintenance/status", {}).json["header"]["cluster_id"] != cluster
    found = fresh.kubectl("get", "cm")
    assert "before-total-loss" in found
    assert "after-snapshot" not in found


@pytest.mark.slow
def test_frozen_leader_exits_when_thawed(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    first = birth(rig)
    eventually("leads", lambda: lease_holder(first, "k3s-etcd") == "master1", 5)
    for pid in first.pids():
        first.rig.signal(pid, "STOP")
    time.sleep(12)  # longer than the renew deadline of 10 s
    for pid in first.pids():
        first.rig.signal(pid, "CONT")
    assert first.wait_end() == 1
    assert 'level=fatal msg="leaderelection lost for' in first.log
