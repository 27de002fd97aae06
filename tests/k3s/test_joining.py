"""Servers and workers that join, or may not: runs/11.log, 08.log, 13.log and the join journal, driven anew."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .clusters import SERVER, birth, join, three_masters, token_of, work
from .recording import line, messages
from .rig import PASSWORD, Host, Rig, eventually

pytestmark = pytest.mark.realhosts


@pytest.fixture(scope="module")
def first(new_rig: Callable[..., Rig]) -> Host:
    return birth(new_rig())


@pytest.fixture(scope="module")
def joiner(first: Host) -> Host:
    return first.rig.host("master2")


def attempt(joiner: Host, first: Host, **changes: object) -> str:
    """Start a joiner that k3s ends; give what it said."""
    settings = {"server": f"https://{first.address}:6443", "token": token_of(first)} | changes
    joiner.server_config(**settings)
    joiner.start()
    joiner.wait_end()
    return joiner.log


def said(log: str, recorded: str) -> bool:
    return recorded in log


def test_birth_is_announced_as_recorded(first: Host, recordings: Path) -> None:
    assert first.log.count('level=info msg="Starting etcd for new cluster, cluster-reset=false"') == 1
    recorded = messages((recordings / "host" / "journal_first_server_start.txt").read_text())
    for start in (
        "Managed etcd cluster initializing",
        "Server node token is available at",
        "Agent node token is available at",
        "Wrote kubeconfig",
        "Run: k3s kubectl",
        "Connection to etcd is ready",
        "ETCD server is now running",
        "Saving cluster bootstrap data to datastore",
        "Kube API server is now running",
        "k3s is up and running",
    ):
        texts = {text for _, text in recorded if text.startswith(start)}
        assert any(said(first.log, text) for text in texts), start


def test_first_server_is_active_within_seconds(first: Host) -> None:
    first.stop()
    first.wipe("/var/lib/rancher/k3s/server")
    first.start(environment={"K3S_CLUSTER_INIT": "true"})
    assert first.wait_ready() < 5  # 1.1 to 2 when the machine does nothing else


def test_wrong_password_with_the_right_hash(first: Host, joiner: Host, recordings: Path) -> None:
    log = attempt(joiner, first, token=token_of(first).replace(PASSWORD, "wrong"))
    recorded = (recordings / "runs" / "11.log").read_text()
    assert said(log, line(recorded, "Skipping cluster configuration validation"))
    assert said(log, line(recorded, "Error: preparing server: failed to bootstrap cluster data: not authorized"))
    assert joiner.process is not None
    assert joiner.process.returncode == 1


def test_token_of_another_cluster(first: Host, joiner: Host) -> None:
    other = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
    mine = token_of(first)[3:67]
    log = attempt(joiner, first, token=f"K10{other}::server:{PASSWORD}")
    assert (
        'level=fatal msg="Error: preparing server: failed to bootstrap cluster data: failed to check if bootstrap data '
        "has been initialized: failed to validate token: token CA hash does not match the Cluster CA certificate hash: "
        f'{other} != {mine}"'
    ) in log


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        (
            {"flannel_backend": "wireguard-native", "cluster_cidr": "10.50.0.0/16"},
            ("flannel-backend", "ClusterIPRanges.slice[0].IP.slice[13]", "ClusterIPRange.IP.slice[13]"),
        ),
        ({"secrets_encryption": True}, ("secrets-encryption",)),
    ],
)
def test_critical_mismatch(
    first: Host, joiner: Host, recordings: Path, changes: dict[str, object], fields: tuple[str, ...]
) -> None:
    log = attempt(joiner, first, **changes)
    recorded = (recordings / "runs" / "11.log").read_text()
    for field in fields:
        assert said(log, line(recorded, f"critical configuration mismatched: {field}"))
    assert log.count("critical configuration mismatched") == len(fields)
    assert said(
        log, line(recorded, "Error: preparing server: failed to bootstrap cluster data: failed to validate server")
    )


def test_nobody_there(first: Host, joiner: Host) -> None:
    log = attempt(joiner, first, server="https://10.0.0.99:6443")
    assert "failed to validate token: failed to get CA certs" in log
    assert not joiner.path(f"{SERVER}/db/etcd/member").exists()


def test_unknown_key(first: Host, joiner: Host) -> None:
    assert 'level=fatal msg="flag provided but not defined: -clutser-init"' in attempt(joiner, first, clutser_init=True)


def test_bare_password_is_warned_about_and_joins(first: Host, joiner: Host, recordings: Path) -> None:
    joiner.server_config(server=f"https://{first.address}:6443", token=PASSWORD)
    joiner.start()
    first.promote("master2")
    assert joiner.wait_ready() < 8
    recorded = (recordings / "runs" / "11.log").read_text()
    assert said(joiner.log, line(recorded, "Cluster CA certificate is not trusted by the host CA bundle"))
    assert said(joiner.log, line(recorded, "Bootstrap key already exists"))
    journal = (recordings / "host" / "journal_join_m2.txt").read_text()
    adding = r"Adding member master2-[0-9a-f]{8}=https://10\.0\.0\.3:2380 to etcd cluster \[master1-[0-9a-f]{8}=https://10\.0\.0\.2:2380\]"
    assert re.search(adding, journal)
    assert re.search(adding, joiner.log)
    assert said(joiner.log, 'level=info msg="Managed etcd cluster not yet initialized"')


def test_learners_queue(first: Host, recordings: Path) -> None:
    """One learner at a time: a joiner waits for another to leave the queue, without an exit, then goes on by itself."""

    def queue_ahead() -> str:
        answer = first.gateway("cluster/member/add", {"peerURLs": ["https://10.0.0.77:2380"], "isLearner": True})
        return str(answer.json["member"]["ID"]) if answer.code == 200 else ""

    never_started = eventually("first in the queue", queue_ahead, 15)
    third = first.rig.host("master3")
    third.server_config(server=f"https://{first.address}:6443", token=token_of(first))
    third.start()
    waiting = "Waiting for other members to finish joining etcd cluster: etcdserver: too many"
    recorded = line((recordings / "runs" / "08.log").read_text(), waiting)
    eventually("waits", lambda: said(third.log, recorded), 15, third.tail)
    assert first.gateway("cluster/member/remove", {"ID": never_started}).code == 200
    first.promote("master3")
    third.wait_ready()
    assert sorted(first.members()) == ["master1", "master2", "master3"]


def test_worker_without_its_node_password_waits_until_the_node_is_deleted(first: Host, recordings: Path) -> None:
    worker = work(first.rig, "worker1", first)
    eventually("registered", lambda: "worker1" in first.kubectl("get", "nodes"), 10)
    worker = first.rig.replace(worker)
    worker.configure(
        server=f"https://{first.address}:6443", token=token_of(first), node_name="worker1", node_ip=worker.address
    )
    worker.start(command="agent")
    recorded = line((recordings / "runs" / "13.log").read_text(), "Waiting to retrieve agent configuration")
    eventually("refused", lambda: said(worker.log, recorded), 10)
    assert not worker.is_ready()
    first.kubectl("delete", "node", "worker1")
    deleted = time.monotonic()
    worker.wait_ready()
    assert time.monotonic() - deleted < 5


@pytest.mark.slow
def test_workers_move_on_when_their_server_is_gone(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    first, second, _ = three_masters(rig)
    worker = work(rig, "worker1", first)
    balancer = worker.path("/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json")
    eventually("knows three servers", lambda: balancer.exists() and balancer.read_text().count(':6443"') == 4, 15)
    first.kill()
    told = lambda: worker.tail() + second.tail()  # noqa: E731
    eventually("dropped", lambda: '"10.0.0.2:6443"' not in balancer.read_text(), 60, told)
    assert '"ServerURL": "https://10.0.0.2:6443"' in balancer.read_text()
    before = renewal(second, "worker1")
    eventually("still renews", lambda: renewal(second, "worker1") != before, 15, told)


def renewal(host: Host, node: str) -> str:
    return str(host.objects("lease", node, "-n", "kube-node-lease")["spec"]["renewTime"])


@pytest.mark.slow
def test_removed_while_running_leaves_a_tombstone_and_rejoins(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    first = birth(rig)
    second = join(rig, "master2", first)
    eventually(
        "can be removed",
        lambda: first.gateway("cluster/member/remove", {"ID": first.members()["master2"]["ID"]}).code == 200,
        15,
    )
    tombstone = second.path(f"{SERVER}/db/etcd/tombstone")
    eventually("tombstone", tombstone.exists, 10)
    second.stop()
    second.start()
    first.promote("master2")
    second.wait_ready()
    assert not tombstone.exists()
    assert list(second.path(f"{SERVER}/db").glob("etcd-backup-*"))


@pytest.mark.slow
def test_token_rotation(new_rig: Callable[..., Rig]) -> None:
    rig = new_rig()
    first = birth(rig)
    second = join(rig, "master2", first)
    old = token_of(second)
    first.server_config(token=token_of(first))
    first.sh("k3s token rotate --new-token another-password")
    (key,) = first.gateway("kv/range", {"key": "L2Jvb3RzdHJhcC8=", "range_end": "L2Jvb3RzdHJhcDA="}).json["kvs"]
    assert key["key"] != ""
    assert token_of(first).endswith("another-password")
    assert token_of(second) == old
    assert first.curl("https://127.0.0.1:6443/v1-k3s/readyz", "-u", f"node:{PASSWORD}").code == 200

    time.sleep(3.2)  # files count as newer from three seconds on
    second.stop()
    second.start()
    assert second.wait_end() == 1
    assert "server/cred/passwd newer than datastore and could cause a cluster outage. Remove the file(s)" in second.log
    new = old.replace(PASSWORD, "another-password")
    second.server_config(server="https://10.0.0.2:6443", token=new)
    second.start()
    assert second.wait_end() == 1
    second.wipe(f"{SERVER}/cred/passwd")
    second.start().wait_ready()

    first.stop()
    first.start()
    assert first.wait_end() == 1
    assert (
        "failed to reconcile with local datastore: bootstrap data already found and encrypted with different token"
        in first.log
    )
    first.server_config(token=new)
    first.start().wait_ready()
