"""What the kubelet, k3s, cron, apt and S3 refuse is refused in the file, with its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hetzner_k3s.config.checks import cron
from hetzner_k3s.config.checks.nodes import label_key_problem

Findings = Callable[[Any], list[str]]

POOLS = ("masters_pool", "worker_node_pools[0]")
FOREIGN = ("node-role.kubernetes.io/worker", "kubernetes.io/role", "foo.k8s.io/x", "k8s.io/x", "x.kubernetes.io/y")
OWN = (
    "node.kubernetes.io/instance-type",
    "storage.node.kubernetes.io/fast",
    "kubelet.kubernetes.io/x",
    "topology.kubernetes.io/zone",
    "kubernetes.io/os",
    "example.com/role",
    "notkubernetes.io/role",
    "purpose",
)


def _pool(minimal: dict[str, Any], pool: str) -> dict[str, Any]:
    found: dict[str, Any] = minimal["masters_pool"] if pool == "masters_pool" else minimal["worker_node_pools"][0]
    return found


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("key", FOREIGN)
def test_labels_that_end_the_kubelet_are_refused_with_their_place(
    key: str, pool: str, findings: Findings, minimal: dict[str, Any]
) -> None:
    _pool(minimal, pool)["labels"] = [{"key": key, "value": "true"}]
    (line,) = findings(minimal)
    assert line.startswith("cluster.yaml:1:")
    assert f"{pool}.labels[0].key: {key}: the kubelet exits with such a label" in line
    assert "node.kubernetes.io/*" in line


@pytest.mark.parametrize("key", OWN)
def test_labels_that_a_node_may_give_itself_are_taken(key: str, findings: Findings, minimal: dict[str, Any]) -> None:
    _pool(minimal, "masters_pool")["labels"] = [{"key": key, "value": "true"}]
    assert findings(minimal) == []


@pytest.mark.parametrize("key", ["a..b/x", "-a/x", "a/b/c", f"{'a' * 254}/x", "A.example/x", "a/", "/a", "a" * 64])
def test_label_keys_that_kubernetes_cannot_hold_are_refused(key: str) -> None:
    assert label_key_problem(key) is not None


@pytest.mark.parametrize("key", [f"{'a' * 250}.io/x", "a" * 63, "A_b.c-d", "a.b/c"])
def test_label_keys_of_the_longest_kind_are_taken(key: str) -> None:
    assert label_key_problem(key) is None


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("node-labels=node-role.kubernetes.io/worker=true", "node-labels: node-role.kubernetes.io/worker"),
        ("--node-labels=a=b,c=d e", "node-labels: 'd e' is no label value"),
        ("register-with-taints=a=b:NoSchedule", "replaces the taints of every pool"),
    ],
)
def test_labels_and_taints_in_kubelet_arguments_are_judged_too(
    argument: str, message: str, findings: Findings, minimal: dict[str, Any]
) -> None:
    (line,) = findings(minimal | {"kubelet_args": ["max-pods=200", argument]})
    assert f"kubelet_args[1]: {message}" in line


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("max pods=200", "is no argument: expected `name=value`"),
        ("node-labels=node-role.kubernetes.io/worker=true", "node-labels: node-role.kubernetes.io/worker"),
        ("--cloud-provider=external", "a cloud controller is the whole cluster's: say so in the root key kubelet_args"),
    ],
)
def test_kubelet_arguments_of_a_pool_are_judged_at_their_place(
    argument: str, message: str, pool: str, findings: Findings, minimal: dict[str, Any]
) -> None:
    _pool(minimal, pool)["kubelet_args"] = ["max-pods=200", argument]
    (line,) = findings(minimal)
    assert f"{pool}.kubelet_args[1]: {message}" in line


def test_a_taint_that_is_given_twice_is_refused(findings: Findings, minimal: dict[str, Any]) -> None:
    taints = [{"key": "a", "value": value} for value in ("x:NoSchedule", "x:NoExecute", "y")]
    _pool(minimal, POOLS[1])["taints"] = taints
    (line,) = findings(minimal)
    assert "taints[2]: a:NoSchedule is given twice; the kubelet exits on it" in line


def test_masters_own_taint_is_not_given_again(findings: Findings, minimal: dict[str, Any]) -> None:
    own = {"key": "CriticalAddonsOnly", "value": "yes:NoExecute"}
    _pool(minimal, "masters_pool")["taints"] = [own]
    (line,) = findings(minimal)
    assert "masters_pool.taints[0]: masters have this taint already" in line
    assert findings(minimal | {"schedule_workloads_on_masters": True}) == []


@pytest.mark.parametrize(
    "schedule",
    [
        "0 * * * *",
        "*/5 0-6,8 1,15 jan-MAR mon-fri",
        "? ? ? ? ?",
        "5/15 * * * *",
        "@hourly",
        "@every 1h30m",
        "@every 1.5h",
        "TZ=Europe/Berlin 0 3 * * *",
        "CRON_TZ=UTC @daily",
    ],
)
def test_schedules_that_k3s_understands(schedule: str) -> None:
    assert cron.problem(schedule) is None


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("0.hourly", "expected five fields"),
        ("0 0 * * * *", "expected five fields"),
        ("60 * * * *", "the minute '60' is not between 0 and 59"),
        ("* 24 * * *", "the hour '24' is not"),
        ("* * 0 * *", "the day '0' is not"),
        ("* * * 13 *", "the month '13' is not"),
        ("* * * * 7", "the weekday '7' is not between 0 and 6"),
        ("* * * * fri-mon", "the weekday 'fri-mon' ends before it begins"),
        ("30-10 * * * *", "the minute '30-10' ends before it begins"),
        ("*/0 * * * *", "has no step"),
        ("*/ * * * *", "has no step"),
        ("1,,2 * * * *", "the minute '' is not"),
        ("a * * * *", "the minute 'a' is not"),
        ("\u0661 * * * *", "the minute"),
        ("@fortnightly", "is no word of cron"),
        ("@reboot", "is no word of cron"),
        ("@every 5", "'5' is no duration"),
        ("@every", "is no word of cron"),
        ("TZ=a;b * * * * *", "names no time zone"),
    ],
)
def test_schedules_that_k3s_would_drop_without_a_word(
    schedule: str, why: str, findings: Findings, minimal: dict[str, Any]
) -> None:
    (line,) = findings(minimal | {"datastore": {"etcd": {"snapshot_schedule_cron": schedule}}})
    assert line.startswith("cluster.yaml:1:")
    assert "snapshot_schedule_cron: " in line
    assert why in line


@pytest.mark.parametrize("argument", ["", "-v=2", "max pods=3", "=3", "v=2\nx"])
def test_arguments_that_end_a_component(argument: str, findings: Findings, minimal: dict[str, Any]) -> None:
    (line,) = findings(minimal | {"kube_api_server_args": ["v=2", argument]})
    assert "kube_api_server_args[1]: is no argument: expected `name=value`" in line


@pytest.mark.parametrize("package", ["", "Htop", "-y", "a b", "htop;reboot"])
def test_packages_that_apt_cannot_know(package: str, findings: Findings, minimal: dict[str, Any]) -> None:
    (line,) = findings(minimal | {"additional_packages": ["htop", package]})
    assert "additional_packages[1]: " in line
    assert "is no name of a Debian package" in line


@pytest.mark.parametrize("package", ["libstdc++6", "nfs-common=1:2.6.4-3", "htop:arm64", "curl/bookworm-backports"])
def test_packages_as_apt_takes_them(package: str, findings: Findings, minimal: dict[str, Any]) -> None:
    _pool(minimal, POOLS[1])["additional_packages"] = [package]
    assert findings(minimal) == []


@pytest.mark.parametrize("bucket", ["a..b", "192.168.5.4", "a.-b", "a-.b", "Ab1", "ab"])
def test_buckets_that_s3_cannot_hold(bucket: str, findings: Findings, minimal: dict[str, Any]) -> None:
    etcd = {"s3_enabled": True, "s3_endpoint": "s3.example.com", "s3_region": "r", "s3_bucket": bucket}
    keys = {"s3_access_key": "a", "s3_secret_key": "b"}
    (line,) = findings(minimal | {"datastore": {"etcd": etcd | keys}})
    assert "datastore.etcd.s3_bucket: is no name of a bucket" in line
