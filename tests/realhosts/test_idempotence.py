"""A `create` on a healthy cluster touches no host: not a second time, and not for a changed file (cases 03, 05, 06)."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator

import pytest
from tests.realhosts.cluster import Cluster, assert_at_rest, assert_whole
from tests.realhosts.standing import MASTERS, WORKER, standing, until, untouched

from hetzner_k3s.lab.realhosts.handle import LabHandle

_APPLIED = (
    "get helmcharts,configmaps,secrets -n kube-system "
    "-o jsonpath='{range .items[*]}{.kind}/{.metadata.name} {.metadata.resourceVersion}{\"\\n\"}{end}'"
)

_CHANGED = """\
kube_api_server_args: ["v=2"]
kubelet_args: ["v=2"]
api_server_hostname: api.example.com
additional_packages: [htop]
datastore: {etcd: {snapshot_schedule_cron: "5 * * * *"}}
addons: {metrics_server: {enabled: true}}
"""


@pytest.fixture(scope="module")
def cluster(lab: LabHandle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Make a cluster for all tests here."""
    with standing(lab, tmp_path_factory.mktemp("idempotence")) as made:
        yield made


def test_a_second_create_changes_nothing(cluster: Cluster) -> None:
    assert_whole(cluster)
    before = objects_and_kubeconfig(cluster)
    with untouched(cluster):
        assert_at_rest(cluster)
    assert objects_and_kubeconfig(cluster) == before


def test_a_changed_file_is_named_and_no_host_is_touched(cluster: Cluster) -> None:
    """Seen: "is up to date: nothing to do", exit 0."""
    cluster.write_config(more=_CHANGED)
    try:
        with untouched(cluster):
            plan = cluster.run("plan", "--json", "--check")
            status = cluster.run("status", "--json")
            cluster.create(expect=3)
    finally:
        cluster.write_config()
    assert (plan.returncode, status.returncode) == (3, 3), plan.stderr
    found = {(d["field"], d["subject"], d["remedy"]) for d in json.loads(plan.stdout)["differences"]}
    of_masters = ("kube_api_server_args", "api_server_hostname", "datastore.etcd.snapshot_schedule_cron")
    expected = {(field, master, "restart") for field in of_masters for master in MASTERS}
    expected |= {("addons.metrics_server.enabled", master, "restart") for master in MASTERS}
    expected |= {("kubelet_args", host, "restart") for host in (*MASTERS, WORKER)}
    assert found == expected | {("additional_packages", host, "replace") for host in (*MASTERS, WORKER)}
    assert json.loads(status.stdout)["health"] == "degraded"
    assert_at_rest(cluster)


def test_a_firewall_that_was_taken_off_is_put_back(cluster: Cluster) -> None:
    (firewall,) = cluster.lab.client.api("GET", "/firewalls")["firewalls"]
    applied = [{"type": one["type"], "label_selector": one["label_selector"]} for one in firewall["applied_to"]]
    actions = f"/firewalls/{firewall['id']}/actions/remove_from_resources"
    for action in cluster.lab.client.api("POST", actions, {"remove_from": applied})["actions"]:
        cluster.lab.finish(action)
    check = cluster.run("plan", "--check")
    assert check.returncode == 3
    assert "not applied" in check.stdout, check.stdout
    cluster.create()
    (after,) = cluster.lab.client.api("GET", "/firewalls")["firewalls"]
    assert [one["label_selector"] for one in after["applied_to"]] == [one["label_selector"] for one in applied]
    assert_at_rest(cluster)


_UNTRUSTED = 60
"""curl's exit code where no name of a certificate is the one that was asked for."""


def test_a_load_balancer_that_came_later_is_named_and_no_way_to_the_api(cluster: Cluster) -> None:
    """Seen: the kubeconfig named it, and each master answered with a certificate without its address."""
    cluster.write_config(more="create_load_balancer_for_the_kubernetes_api: true\n")
    try:
        processes = [cluster.process(name) for name in MASTERS]
        told = cluster.create(expect=3)
        assert [cluster.process(name) for name in MASTERS] == processes
        (balancer,) = cluster.lab.resources("load_balancers")
        address = f"https://{balancer['public_net']['ipv4']['ip']}:6443"
        text = cluster.kubeconfig.read_text()
        ways = re.findall("server: (.*)", text)
        (cluster.folder / "ca").write_bytes(base64.b64decode(re.findall("certificate-authority-data: (.*)", text)[0]))
        until(lambda: asked(cluster, address, "-k") == 0, "the load balancer leads to a master")
        assert asked(cluster, address) == _UNTRUSTED
    finally:
        cluster.write_config()
    assert "create_load_balancer_for_the_kubernetes_api" in told.stdout + told.stderr
    assert address not in ways
    assert ways
    assert [asked(cluster, way) for way in ways] == [0] * len(ways)
    cluster.create("--prune")
    assert cluster.lab.resources("load_balancers") == []
    assert_at_rest(cluster)


def test_a_master_whose_k3s_starts_gets_no_traffic(cluster: Cluster) -> None:
    """Seen with a TCP check: 503 through the load balancer, as long as k3s listened and its API server did not run.

    Alone of three, a master that starts stays so: its etcd has no quorum, and its API server waits for it.
    """
    cluster.write_config(more="create_load_balancer_for_the_kubernetes_api: true\n")
    try:
        cluster.create(expect=3)
        (balancer,) = cluster.lab.resources("load_balancers")
        balanced = f"https://{balancer['public_net']['ipv4']['ip']}:6443/readyz"
        until(lambda: status(cluster, balanced) == "401", "the load balancer leads to a master")
        for name in MASTERS:
            cluster.sh(name, "systemctl stop k3s")
        cluster.sh(MASTERS[0], "systemctl start --no-block k3s")
        direct = f"https://{cluster.lab.host(MASTERS[0]).facts['public_ipv4']}:6443/readyz"
        until(lambda: status(cluster, direct) == "503", "k3s listens and its API server does not run")
        assert {status(cluster, balanced) for _ in range(_LOOKS)} == {"000"}
        assert status(cluster, direct) == "503", "it went on starting all the while"
        for name in MASTERS[1:]:
            cluster.sh(name, "systemctl start --no-block k3s")
        until(lambda: status(cluster, balanced) == "401", "the masters that serve are taken again")
        until(lambda: all(done(cluster, name) for name in MASTERS), "all masters serve")
    finally:
        cluster.write_config()
    cluster.create("--prune")
    assert_at_rest(cluster)


_LOOKS = 20
"""Looks through the load balancer, 0.2 s apart: longer than three of its checks."""


def done(cluster: Cluster, name: str) -> bool:
    """Check whether a master's k3s says that it is active."""
    return cluster.lab.host(name).exec("systemctl is-active k3s").returncode == 0


def status(cluster: Cluster, url: str) -> str:
    """Ask without a certificate, and return the status of the answer; 000 where there is none."""
    time.sleep(0.2)
    line = ["curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", url]
    return cluster.lab.run(line, check=False).stdout.strip()


def asked(cluster: Cluster, url: str, *options: str) -> int:
    """Ask an API as a client does that trusts the kubeconfig's CA; return curl's exit code."""
    line = ["curl", "-s", "-m", "5", "-o", "/dev/null", "--cacert", str(cluster.folder / "ca"), *options, url]
    return cluster.lab.run(line, check=False).returncode


def objects_and_kubeconfig(cluster: Cluster) -> tuple[str, int]:
    """Read the versions of what was applied, and when the kubeconfig was written."""
    return cluster.kubectl(cluster.masters()[0], _APPLIED), cluster.kubeconfig.stat().st_mtime_ns
