"""A healthy cluster of three servers and a worker, asked what the recorded one was asked.

The recordings: docs/facts/recordings.md#http, docs/facts/recordings.md#etcd, docs/facts/recordings.md#kube and
docs/facts/recordings.md#host.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .clusters import SERVER, three_masters, token_of, work
from .recording import document, http, shape
from .rig import ETCD_TLS, PASSWORD, VERSION, Answer, Host, Rig, eventually

pytestmark = pytest.mark.realhosts


@dataclass(frozen=True)
class Cluster:
    m1: Host
    m2: Host
    m3: Host
    w1: Host


@pytest.fixture(scope="module")
def cluster(new_rig: Callable[..., Rig]) -> Cluster:
    rig = new_rig()
    first, second, third = three_masters(rig)
    worker = work(rig, "worker1", first)
    eventually("worker registered", lambda: "worker1" in first.kubectl("get", "nodes"), 10)
    voting = "EtcdIsVoter"
    eventually("conditions", lambda: first.kubectl("get", "nodes", "-o", "json").count(voting) == 3, 10)
    return Cluster(first, second, third, worker)


WORDS = {"node": ("-u", f"node:{PASSWORD}"), "server": ("-u", f"server:{PASSWORD}"), "wrongpw": ("-u", "server:wrong")}
EVERY_PATH = re.compile(r"(local|remote)_(noauth|node|server|wrongpw)_(.+)")


def ask_like(cluster: Cluster, stem: str) -> Answer:
    found = EVERY_PATH.fullmatch(stem)
    assert found
    origin, who, path = found.groups()
    path = path.replace("db_info_slash", "db/info/").replace("server_public_db_info", "db_info").replace("_", "/")
    host, target = (cluster.m1, "127.0.0.1") if origin == "local" else (cluster.w1, cluster.m1.address)
    return host.curl(f"https://{target}:6443/{path}", *WORDS.get(who, ()))


def test_every_recorded_http_answer(cluster: Cluster, recordings: Path) -> None:
    compared = 0
    for file in sorted((recordings / "http").glob("*.txt")):
        if not EVERY_PATH.fullmatch(file.stem) or not file.read_text().startswith("HTTP"):
            continue
        stem = file.stem.replace("_server_bootstrap", "_v1-k3s_server-bootstrap").replace("server_public", "server")
        recorded, answer = http(file), ask_like(cluster, stem)
        assert answer.code == recorded.code, file.name
        if "json" in recorded.content_type and "config" not in stem:
            assert shape(answer.json) == shape(recorded.json), file.name
            if recorded.code >= 400:
                assert answer.json == recorded.json, file.name
        elif recorded.body in ("pong", "ok"):
            assert answer.body == recorded.body, file.name
        compared += 1
    assert compared >= 40


def test_configuration_answer(cluster: Cluster, recordings: Path) -> None:
    recorded = http(recordings / "http" / "local_node_v1-k3s_config.txt").json
    answer = ask_like(cluster, "local_node_v1-k3s_config").json
    differing = {key for key in answer if answer[key] != recorded.get(key)}
    assert differing <= {"SANs", "IPSECPSK", "ClusterInit", "JoinURL"}


def test_bootstrap_bundle(cluster: Cluster, recordings: Path) -> None:
    recorded = document(recordings / "http" / "local_server_bootstrap_keys.txt")
    bundle = ask_like(cluster, "local_server_v1-k3s_server-bootstrap").json
    assert set(bundle) == set(recorded)
    assert all(abs(len(bundle[key]["Content"]) - size) <= 60 for key, size in recorded.items())


def test_api_servers_are_listed(cluster: Cluster) -> None:
    assert ask_like(cluster, "local_node_v1-k3s_apiservers").json == ["10.0.0.2:6443", "10.0.0.3:6443", "10.0.0.4:6443"]


def test_readiness_checks(cluster: Cluster, recordings: Path) -> None:
    for endpoint in ("readyz", "livez"):
        recorded = (recordings / "kube" / f"{endpoint}_verbose.txt").read_text().rpartition("\n[exit")[0]
        assert cluster.m1.kubectl("get", "--raw", f"/{endpoint}?verbose").strip() == recorded.strip()


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("2381_health", "http://127.0.0.1:2381/health"),
        ("2381_health_serializable_true", "http://127.0.0.1:2381/health?serializable=true"),
        ("2381_health_exclude_NOSPACE", "http://127.0.0.1:2381/health?exclude=NOSPACE"),
        ("2381_readyz", "http://127.0.0.1:2381/readyz"),
        ("2381_livez_verbose", "http://127.0.0.1:2381/livez?verbose"),
        ("2381_version", "http://127.0.0.1:2381/version"),
    ],
)
def test_etcd_metrics_port(cluster: Cluster, recordings: Path, name: str, url: str) -> None:
    recorded, answer = http(recordings / "etcd" / f"{name}.txt"), cluster.m1.curl(url)
    assert (answer.code, answer.body.strip()) == (recorded.code, recorded.body.strip())


def test_etcd_metrics_from_outside(cluster: Cluster, recordings: Path) -> None:
    recorded = http(recordings / "etcd" / "2381_remote_private.txt")
    assert cluster.w1.curl("http://10.0.0.2:2381/health").body.strip() == recorded.body.strip()


def test_etcd_metrics_tell_the_leader(cluster: Cluster, recordings: Path) -> None:
    names = ("etcd_server_has_leader", "etcd_server_is_leader", "etcd_server_is_learner", "etcd_server_id{")
    recorded = (recordings / "etcd" / "2381_metrics_selected.txt").read_text()
    mine = cluster.m1.curl("http://127.0.0.1:2381/metrics").body
    assert all(f"\n{name}" in f"\n{recorded}" and f"\n{name}" in mine for name in names)


BOOTSTRAP_KEYS = {"key": "L2Jvb3RzdHJhcC8=", "range_end": "L2Jvb3RzdHJhcDA=", "keys_only": True}


@pytest.mark.parametrize(
    ("name", "path", "body"),
    [
        ("2382_member_list_m1", "cluster/member/list", {"linearizable": True}),
        (
            "2382_range_bootstrap_keys",
            "kv/range",
            BOOTSTRAP_KEYS,
        ),
        ("2382_range_health", "kv/range", {"key": "aGVhbHRo"}),
    ],
)
def test_gateway(cluster: Cluster, recordings: Path, name: str, path: str, body: dict[str, Any]) -> None:
    recorded, answer = http(recordings / "etcd" / f"{name}.txt"), cluster.m1.gateway(path, body)
    assert answer.code == recorded.code
    assert shape(answer.json) == shape(recorded.json)


def test_identity_of_the_recorded_cluster(cluster: Cluster, recordings: Path) -> None:
    """etcd's cluster id and the first member's id come from the address alone: they are no identity."""
    recorded = http(recordings / "etcd" / "2382_status_m1.txt").json
    mine = cluster.m1.gateway("maintenance/status", {}).json
    assert mine["header"]["cluster_id"] == recorded["header"]["cluster_id"]
    assert mine["header"]["member_id"] == recorded["header"]["member_id"]
    # 3.6 knows more of itself than Debian's 3.5.
    assert set(recorded) - set(mine) == {"storageVersion", "dbSizeQuota", "downgradeInfo"}


def test_gateway_needs_a_certificate_and_lives_on_2382_only(cluster: Cluster, recordings: Path) -> None:
    assert cluster.m1.curl("https://127.0.0.1:2382/v3/cluster/member/list", "-d", "{}").code == 0
    tls = ("--cert", f"{ETCD_TLS}/client.crt", "--key", f"{ETCD_TLS}/client.key")
    answer = cluster.m1.curl("https://127.0.0.1:2379/v3/cluster/member/list", *tls, "-d", "{}")
    assert answer.code == http(recordings / "etcd" / "2379_gateway.txt").code == 415


def test_etcd_is_configured_as_recorded(cluster: Cluster, recordings: Path) -> None:
    yaml = pytest.importorskip("yaml")
    text = (recordings / "host" / "etcd_config_m1.txt").read_text().partition("\nmaster1-")[0]
    recorded = yaml.safe_load(text)
    mine = yaml.safe_load(cluster.m1.path(f"{SERVER}/db/etcd/config").read_text())
    left_out = {"bootstrap-defrag-threshold-megabytes", "experimental-initial-corrupt-check"}
    left_out |= {"experimental-watch-progress-notify-interval"}
    for key in set(recorded) - left_out - {"name", "heartbeat-interval", "election-timeout"}:
        mine_now = mine[key].replace("10.0.0.2", "A") if isinstance(mine[key], str) else mine[key]
        theirs = recorded[key].replace("10.0.0.2", "A") if isinstance(recorded[key], str) else recorded[key]
        assert mine_now == theirs, key


# What the model has no use for: the container runtime, the network plug-in, per-release data.
NOT_MODELLED = re.compile(r"\./(agent|data)(/|$)|server/(manifests|etc)/|dynamic-cert|temporary-certs/|0\.tmp$")


def test_files_and_modes_of_a_server(cluster: Cluster, recordings: Path) -> None:
    recorded = (recordings / "host" / "tree_var_lib_rancher_server.txt").read_text()
    root = cluster.m1.path("/var/lib/rancher/k3s")
    compared = 0
    for mode, path, target in re.findall(r"^(\S+) root:root \d+ (\S+) -> ?(.*)$", recorded, re.MULTILINE):
        if NOT_MODELLED.search(path):
            continue
        found = (root / path).lstat()
        assert stat.filemode(found.st_mode) == mode, path
        if target:
            assert str((root / path).readlink()) == target, path
        compared += 1
    assert compared >= 70


def test_files_of_a_worker(cluster: Cluster, recordings: Path) -> None:
    recorded = (recordings / "host" / "tree_var_lib_rancher_agent.txt").read_text()
    root = cluster.w1.path("/var/lib/rancher/k3s")
    for name in ("server-ca.crt", "client-ca.crt", "client-kubelet.crt", "serving-kubelet.crt", "serving-kubelet.key"):
        mode = re.search(rf"^(\S+) root:root \d+ \./agent/{name} ", recorded, re.MULTILINE)
        assert mode
        assert stat.filemode((root / "agent" / name).stat().st_mode) == mode[1]
    text = (recordings / "host" / "etc_files_agent.txt").read_text()
    balancer = json.JSONDecoder().raw_decode(text[text.index('{\n  "ServerURL"') :])[0]
    mine = json.loads((root / "agent/etc/k3s-agent-load-balancer.json").read_text())
    assert mine["ServerURL"] == balancer["ServerURL"]
    assert set(mine["ServerAddresses"]) == set(balancer["ServerAddresses"])


def test_kubeconfig_and_node_password(cluster: Cluster, recordings: Path) -> None:
    recorded = (recordings / "host" / "etc_files_server.txt").read_text()
    mine = cluster.m1.path("/etc/rancher/k3s/k3s.yaml")
    assert stat.filemode(mine.stat().st_mode) == "-rw-------"
    trimmed = re.sub(r"data: .*", "data: <trimmed>", mine.read_text()).strip()
    assert trimmed in recorded
    password = cluster.m1.path("/etc/rancher/node/password")
    assert (stat.filemode(password.stat().st_mode), password.stat().st_size) == ("-rw-------", 33)


def test_one_token_everywhere(cluster: Cluster) -> None:
    ca = cluster.m1.path(f"{SERVER}/tls/server-ca.crt").read_bytes()
    expected = f"K10{hashlib.sha256(ca).hexdigest()}::server:{PASSWORD}"
    for host in (cluster.m1, cluster.m2, cluster.m3):
        assert token_of(host) == expected
        assert host.path(f"{SERVER}/tls/server-ca.crt").read_bytes() == ca
        assert host.curl("https://127.0.0.1:6443/cacerts").body.encode() == ca
    assert cluster.w1.path("/var/lib/rancher/k3s/agent/server-ca.crt").read_bytes() == ca


def test_nodes(cluster: Cluster, recordings: Path) -> None:
    recorded = {row["metadata"]["name"]: row for row in document(recordings / "kube" / "nodes.json")["items"]}
    mine = {row["metadata"]["name"]: row for row in cluster.m2.objects("nodes")["items"]}
    assert set(mine) == set(recorded)
    for name, node in recorded.items():
        metadata = mine[name]["metadata"]
        assert metadata["labels"] == node["metadata"]["labels"]
        assert set(metadata["finalizers"]) == set(node["metadata"]["finalizers"])
        missing = set(node["metadata"]["annotations"]) - set(metadata["annotations"])
        assert all(key.startswith("flannel.") for key in missing)
        assert mine[name]["spec"]["taints"] == node["spec"]["taints"]
        mine_conditions = {(row["type"], row["status"], row["reason"]) for row in mine[name]["status"]["conditions"]}
        assert mine_conditions == {(row["type"], row["status"], row["reason"]) for row in node["status"]["conditions"]}
        assert mine[name]["status"]["nodeInfo"]["kubeletVersion"] == VERSION


def test_node_table(cluster: Cluster, recordings: Path) -> None:
    recorded = (recordings / "kube" / "nodes_wide.txt").read_text().splitlines()
    mine = cluster.m1.kubectl("get", "nodes", "-o", "wide").splitlines()
    assert mine[0].split() == recorded[0].split()
    for theirs, ours in zip(recorded[1:4], mine[1:4], strict=True):
        columns = ours.split()
        assert columns[:3] == theirs.split()[:3]
        assert columns[4:5] == theirs.split()[4:5]


def test_node_password_secrets(cluster: Cluster, recordings: Path) -> None:
    recorded = document(recordings / "kube" / "node_password_secrets.json")["items"]
    mine = {row["metadata"]["name"]: row for row in cluster.m1.objects("secret", "-n", "kube-system")["items"]}
    for secret in recorded:
        if secret["type"] == "k3s.cattle.io/node-password":
            found = mine[secret["metadata"]["name"]]
            assert (found["type"], found["immutable"], set(found["data"])) == (secret["type"], True, {"hash"})


def test_namespace_leases_and_endpoints(cluster: Cluster, recordings: Path) -> None:
    recorded = document(recordings / "kube" / "ns_kube_system.json")
    assert shape(cluster.m1.objects("ns", "kube-system")) == shape(recorded)
    leases = {row["metadata"]["name"]: row for row in cluster.m1.objects("leases", "-n", "kube-system")["items"]}
    for row in document(recordings / "kube" / "leases.json")["items"]:
        name = row["metadata"]["name"]
        if name in ("k3s", "k3s-etcd", "kube-controller-manager"):
            assert shape(leases[name]["spec"]) == shape(row["spec"])
    (slice_,) = document(recordings / "kube" / "endpoints_kubernetes.json")["items"]
    mine = cluster.m1.objects("endpointslices.discovery.k8s.io", "kubernetes", "-n", "default")
    assert mine["endpoints"] == slice_["endpoints"]


def test_resources(cluster: Cluster, recordings: Path) -> None:
    def rows(text: str) -> set[tuple[str, ...]]:
        return {tuple(line.split()[-3:]) for line in text.splitlines() if line.strip() and "[exit" not in line}

    recorded = rows((recordings / "kube" / "api_resources.txt").read_text())
    mine = rows(cluster.m1.kubectl("api-resources"))
    assert mine <= recorded
    for kind in ("Node", "Secret", "HelmChart", "HelmChartConfig", "Addon", "ETCDSnapshotFile", "Lease", "Deployment"):
        assert any(row[-1] == kind for row in mine), kind


def test_version(cluster: Cluster, recordings: Path) -> None:
    recorded = (recordings / "host" / "k3s_version.txt").read_text().partition("\n\n")[0]
    assert cluster.m1.sh("k3s --version").strip() == recorded.strip()
    assert cluster.m2.kubectl("get", "--raw", "/version").count(VERSION) == 1


def test_snapshot(cluster: Cluster, recordings: Path) -> None:
    cluster.m1.sh("k3s etcd-snapshot save --name pre-repair 2>/root/save.err")
    said = cluster.m1.path("/root/save.err").read_text()
    recorded = (recordings / "host" / "etcd_snapshot_save.txt").read_text()
    assert re.search(r'level=info msg="Snapshot pre-repair-master1-\d+ saved."', said)
    for name in ("node-ip", "disable", "etcd-expose-metrics"):
        line = rf'level=warning msg="Unknown flag --{name} found in config.yaml, skipping\n"'
        assert line in said
        assert line in recorded
    (listed,) = json.loads(cluster.m1.sh("k3s etcd-snapshot ls -o json 2>/dev/null"))["items"]
    text = (recordings / "host" / "etcd_snapshot_ls.txt").read_text()
    (theirs,) = json.JSONDecoder().raw_decode(text[text.index("{\n") :])[0]["items"]
    assert shape(listed) == shape(theirs)
    file = cluster.m1.path(listed["spec"]["location"].removeprefix("file://"))
    assert stat.filemode(file.stat().st_mode) == "-rw-------"
    assert file.stat().st_size == int(listed["status"]["size"])
    assert cluster.m2.objects("etcdsnapshotfiles")["items"][0]["spec"] == listed["spec"]
    cluster.m1.sh(f"k3s etcd-snapshot delete {file.name}")
    assert not file.exists()
    assert cluster.m2.objects("etcdsnapshotfiles")["items"] == []


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: demo, labels: {a: b}}
spec:
  replicas: 2
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: c, image: nginx}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: demo}
data: {key: one}
---
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata: {name: chart, namespace: kube-system}
spec: {chart: chart, repo: https://charts.example, version: "1.2"}
"""


def test_kubectl_applies_and_deletes(cluster: Cluster) -> None:
    cluster.m1.kubectl("create", "namespace", "demo")
    assert "deployment.apps/app created" in cluster.m1.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    assert "deployment.apps/app unchanged" in cluster.m2.kubectl("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3").replace("key: one", "other: two")
    assert "configmap/settings configured" in cluster.m3.kubectl("apply", "-f", "-", stdin=changed)
    assert cluster.m1.objects("deploy", "app", "-n", "demo")["spec"]["replicas"] == 3
    assert cluster.m1.objects("cm", "settings", "-n", "demo")["data"] == {"other": "two"}
    cluster.m2.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DEPLOYMENT)
    assert cluster.m1.objects("deploy", "app", "-n", "demo")["spec"]["replicas"] == 2
    assert "1.2" in cluster.m3.kubectl("get", "helmcharts", "-n", "kube-system")
    assert "Name:" in cluster.m1.kubectl("describe", "deployment", "app", "-n", "demo")
    cluster.m1.kubectl("delete", "namespace", "demo")
    assert "NotFound" in cluster.m2.kubectl("get", "deploy", "app", "-n", "demo", check=False)
    assert "NotFound" in cluster.m2.kubectl("get", "namespace", "demo", check=False)


def test_kubectl_handles_nodes(cluster: Cluster) -> None:
    cluster.m1.kubectl("label", "node", "worker1", "tier=one")
    assert "worker1" in cluster.m2.kubectl("get", "nodes", "-l", "tier=one")
    cluster.m1.kubectl("drain", "worker1", "--ignore-daemonsets")
    assert "SchedulingDisabled" in cluster.m3.kubectl("get", "node", "worker1")
    cluster.m1.kubectl("uncordon", "worker1")
    cluster.m1.kubectl("wait", "--for=condition=Ready", "node/worker1", "--timeout=5s")
    assert "MemberNotLearner" in cluster.m1.kubectl("describe", "node", "master2")


def test_hetzners_cloud_controller_initializes_nodes(cluster: Cluster) -> None:
    def provider() -> str:
        return cluster.m1.kubectl("get", "node", "worker1", "-o", "jsonpath={.spec.providerID}")

    cluster.m1.kubectl("annotate", "node", "worker1", "lab.hetzner-k3s/instance-id=4711")
    chart = DEPLOYMENT.rpartition("---")[2].replace("name: chart,", "name: hcloud-cloud-controller-manager,")
    cluster.m1.kubectl("apply", "-f", "-", stdin=chart)
    assert provider() == ""
    words = ("--from-literal=token=t", "--from-literal=network=n")
    cluster.m1.kubectl("create", "secret", "generic", "hcloud", "-n", "kube-system", *words)
    eventually("provider id", lambda: provider() == "hcloud://4711", 5)
    assert not cluster.m1.objects("node", "worker1")["spec"].get("taints")
