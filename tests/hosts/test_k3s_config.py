"""config.yaml and registries.yaml: the arguments of 2.6, flag by flag.

See docs/facts/compatibility.md#k3s-arguments.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from inline_snapshot import snapshot
from ruamel.yaml import YAML

from hetzner_k3s.hosts.k3s_config import api_url, render_agent, render_registries, render_server
from hetzner_k3s.model.hosts.host_config import HostAddresses
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import (
    AddonsSpec,
    ClusterSpec,
    ComponentArgs,
    DatabaseSpec,
    EtcdSpec,
    KubernetesNetworkSpec,
    Label,
    MasterSpec,
    NetworkSpec,
    S3Spec,
    SshSpec,
    Taint,
    WorkerSpec,
)
from hetzner_k3s.model.tokens import ClusterTokens
from hetzner_k3s.model.version import K3sVersion

TOKENS = ClusterTokens(Secret("K10abc::server:pw"), Secret("K10abc::node:agents"))
HOST = HostAddresses(internal_ip="10.0.0.2", public_ip="198.51.100.2", interface="enp7s0", server_id=42)
SERVER = "https://10.0.0.3:6443"
MASTER = MasterSpec(name="c-master1", index=1, location="fsn1", instance_type="cpx22", image="debian-12")
WORKER = WorkerSpec(
    name="c-pool-a-worker1", pool="a", index=1, location="fsn1", instance_type="cpx22", image="debian-12"
)
SPEC = ClusterSpec(
    name="c",
    hetzner_token=Secret("t"),
    kubeconfig_path="/k",
    k3s_version=K3sVersion.parse("v1.36.3+k3s1"),
    masters=(MASTER,),
    ssh=SshSpec(private_key_path=None, public_key_path="/p", public_key="ssh-ed25519 AAAA"),
)


def server(spec: ClusterSpec = SPEC, master: MasterSpec = MASTER, **more: Any) -> dict[str, Any]:
    """Render and read back, as k3s would: YAML 1.1."""
    arguments: dict[str, Any] = {"tokens": TOKENS, "server_url": SERVER, **more}
    text = render_server(spec, master, arguments.pop("addresses", HOST), **arguments).reveal()
    return dict(YAML(typ="safe", pure=True).load(text))


def agent(spec: ClusterSpec = SPEC, worker: WorkerSpec = WORKER, addresses: HostAddresses = HOST) -> dict[str, Any]:
    text = render_agent(spec, worker, addresses, tokens=TOKENS, server_url=SERVER).reveal()
    return dict(YAML(typ="safe", pure=True).load(text))


def test_a_master_with_the_defaults_of_the_file() -> None:
    text = render_server(SPEC, MASTER, HOST, tokens=TOKENS, server_url=SERVER, api_addresses=("203.0.113.9",))
    assert text.reveal() == snapshot("""\
token: "K10abc::server:pw"
server: "https://10.0.0.3:6443"
agent-token: "K10abc::node:agents"
node-name: "c-master1"
node-ip: "10.0.0.2"
node-external-ip: "198.51.100.2"
flannel-iface: "enp7s0"
kubelet-arg:
  - "cloud-provider=external"
  - "resolv-conf=/etc/k8s-resolv.conf"
node-taint:
  - "CriticalAddonsOnly=true:NoExecute"
advertise-address: "10.0.0.2"
tls-san:
  - "10.0.0.2"
  - "127.0.0.1"
  - "198.51.100.2"
  - "203.0.113.9"
write-kubeconfig-mode: "0600"
cluster-cidr: "10.244.0.0/16"
service-cidr: "10.43.0.0/16"
cluster-dns: "10.43.0.10"
flannel-backend: "wireguard-native"
disable-cloud-controller: true
disable:
  - "traefik"
  - "servicelb"
  - "metrics-server"
  - "local-storage"
embedded-registry: true
etcd-expose-metrics: true
etcd-snapshot-retention: 24
etcd-snapshot-schedule-cron: "0 * * * *"
kube-scheduler-arg:
  - "bind-address=0.0.0.0"
kube-controller-manager-arg:
  - "bind-address=0.0.0.0"
kube-proxy-arg:
  - "metrics-bind-address=0.0.0.0"
""")


def test_a_worker_with_the_defaults_of_the_file() -> None:
    assert render_agent(SPEC, WORKER, HOST, tokens=TOKENS, server_url=SERVER).reveal() == snapshot("""\
token: "K10abc::node:agents"
server: "https://10.0.0.3:6443"
node-name: "c-pool-a-worker1"
node-ip: "10.0.0.2"
node-external-ip: "198.51.100.2"
flannel-iface: "enp7s0"
kubelet-arg:
  - "cloud-provider=external"
  - "resolv-conf=/etc/k8s-resolv.conf"
""")


def test_without_a_cloud_controller_no_kubelet_waits_for_one() -> None:
    """Each node would end after a quarter of an hour, for ever; a controller of the user's own is said in the file."""
    spec = replace(SPEC, addons=replace(SPEC.addons, cloud_controller_manager=False))
    own = replace(spec, args=replace(SPEC.args, kubelet=("cloud-provider=external", "max-pods=200")))
    for render in (server, agent):
        assert render(spec)["kubelet-arg"] == ["resolv-conf=/etc/k8s-resolv.conf"]
        announced = ["cloud-provider=external", "resolv-conf=/etc/k8s-resolv.conf", "max-pods=200"]
        assert render(own)["kubelet-arg"] == announced
        assert render(replace(own, addons=SPEC.addons))["kubelet-arg"] == announced


def test_the_file_never_says_cluster_init() -> None:
    """A birth is permitted once, from outside: a file that stays would make a second cluster on an emptied disk."""
    birth = server(server_url=None)
    assert "server" not in birth
    assert "cluster-init" not in birth
    assert server()["server"] == SERVER


def test_rendering_twice_gives_the_same_text_and_shows_no_token() -> None:
    one, other = (render_server(SPEC, MASTER, HOST, tokens=TOKENS, server_url=SERVER) for _ in range(2))
    assert one == other
    assert "pw" not in repr(one)


@pytest.mark.parametrize(
    ("version", "backend"),
    [("v1.23.5+k3s1", "wireguard"), ("v1.23.6+k3s1", "wireguard-native"), ("v1.36.3+k3s1", "wireguard-native")],
)
def test_encryption_is_wireguard_under_the_name_of_its_release(version: str, backend: str) -> None:
    assert server(replace(SPEC, k3s_version=K3sVersion.parse(version)))["flannel-backend"] == backend


def test_without_encryption_the_backend_is_left_to_k3s() -> None:
    assert "flannel-backend" not in server(replace(SPEC, kubernetes_network=KubernetesNetworkSpec(encryption=False)))


def test_critical_arguments_follow_the_file() -> None:
    network = KubernetesNetworkSpec(
        cluster_cidr="10.244.0.0/16,fd00:1::/56",
        service_cidr="10.96.0.0/16",
        cluster_dns="10.96.0.10",
        cluster_domain="a.b",
    )
    config = server(replace(SPEC, kubernetes_network=network))
    assert config["cluster-cidr"] == "10.244.0.0/16,fd00:1::/56"
    assert (config["service-cidr"], config["cluster-dns"], config["cluster-domain"]) == (
        "10.96.0.0/16",
        "10.96.0.10",
        "a.b",
    )


def test_what_2_6_leaves_to_k3s_is_left_to_it() -> None:
    left = {
        "egress-selector-mode",
        "secrets-encryption",
        "disable-network-policy",
        "disable-kube-proxy",
        "cluster-domain",
    }
    assert not left & set(server())


@pytest.mark.parametrize(
    ("addon", "component"),
    [
        ("traefik", "traefik"),
        ("servicelb", "servicelb"),
        ("metrics_server", "metrics-server"),
        ("local_path_storage_class", "local-storage"),
    ],
)
def test_an_addon_that_is_on_is_not_disabled(addon: str, component: str) -> None:
    on: dict[str, Any] = {addon: True}
    config = server(replace(SPEC, addons=replace(AddonsSpec(), **on)))
    assert component not in config["disable"]
    assert len(config["disable"]) == 3


def test_all_addons_on_and_the_mirror_off() -> None:
    addons = AddonsSpec(
        traefik=True, servicelb=True, metrics_server=True, local_path_storage_class=True, embedded_registry_mirror=False
    )
    config = server(replace(SPEC, addons=addons))
    assert "disable" not in config
    assert "embedded-registry" not in config
    assert config["disable-cloud-controller"] is True


def test_sans_are_this_hosts_own_and_what_stands_before_all() -> None:
    spec = replace(SPEC, api_server_hostname="k8s.example.com")
    assert server(spec, api_addresses=("203.0.113.9", "10.0.0.2"))["tls-san"] == [
        "10.0.0.2",
        "127.0.0.1",
        "198.51.100.2",
        "203.0.113.9",
        "k8s.example.com",
    ]


def test_labels_and_taints_of_the_pool() -> None:
    own: dict[str, Any] = {
        "labels": (Label(key="a", value="b"),),
        "taints": (Taint(key="c", value="d", effect="NoSchedule"),),
    }
    config = server(SPEC, replace(MASTER, **own))
    assert config["node-label"] == ["a=b"]
    assert config["node-taint"] == ["CriticalAddonsOnly=true:NoExecute", "c=d:NoSchedule"]
    assert agent(SPEC, replace(WORKER, **own))["node-taint"] == ["c=d:NoSchedule"]
    schedulable = replace(SPEC, schedule_workloads_on_masters=True)
    assert server(schedulable, replace(MASTER, **own))["node-taint"] == ["c=d:NoSchedule"]
    assert "node-taint" not in server(schedulable)


def test_arguments_of_components() -> None:
    args = ComponentArgs(
        kube_apiserver=("v=1",),
        kube_scheduler=("v=2",),
        kube_controller_manager=("v=3",),
        kube_cloud_controller_manager=("v=4",),
        kubelet=("max-pods=200",),
        kube_proxy=("v=5",),
    )
    spec = replace(SPEC, args=args)
    config = server(spec)
    assert {name: values for name, values in config.items() if name.endswith("-arg")} == {
        "kubelet-arg": ["cloud-provider=external", "resolv-conf=/etc/k8s-resolv.conf", "max-pods=200"],
        "kube-apiserver-arg": ["v=1"],
        "kube-scheduler-arg": ["bind-address=0.0.0.0", "v=2"],
        "kube-controller-manager-arg": ["bind-address=0.0.0.0", "v=3"],
        "kube-cloud-controller-manager-arg": ["v=4"],
        "kube-proxy-arg": ["metrics-bind-address=0.0.0.0", "v=5"],
    }
    assert [name for name in agent(spec) if name.endswith("-arg")] == ["kubelet-arg"]
    no_proxy = replace(spec, kubernetes_network=KubernetesNetworkSpec(kube_proxy_args=False))
    assert "kube-proxy-arg" not in server(no_proxy)


def test_a_pools_kubelet_arguments_replace_those_of_the_cluster() -> None:
    """A cloud controller that the cluster's announce is announced by every node all the same."""
    addons = AddonsSpec(cloud_controller_manager=False)
    spec = replace(SPEC, addons=addons, args=ComponentArgs(kubelet=("cloud-provider=external", "max-pods=200")))
    common = ["cloud-provider=external", "resolv-conf=/etc/k8s-resolv.conf"]
    reserved = ("system-reserved=memory=1Gi",)
    assert agent(spec, replace(WORKER, kubelet_args=reserved))["kubelet-arg"] == [*common, *reserved]
    assert server(spec, replace(MASTER, kubelet_args=()))["kubelet-arg"] == common
    assert agent(spec)["kubelet-arg"] == [*common, "max-pods=200"]


def test_etcd_snapshots() -> None:
    config = server(replace(SPEC, etcd=EtcdSpec(snapshot_retention=0, snapshot_schedule_cron="")))
    assert [name for name in config if name.startswith("etcd")] == ["etcd-expose-metrics"]


def test_without_a_private_network_the_public_address_is_the_nodes() -> None:
    spec = replace(SPEC, network=NetworkSpec(private=False))
    host = HostAddresses(internal_ip=None, public_ip="198.51.100.2", interface=None, server_id=42)
    config = server(spec, addresses=host)
    assert (config["node-ip"], config["advertise-address"]) == ("198.51.100.2", "198.51.100.2")
    assert "flannel-iface" not in config
    assert config["kubelet-arg"][-1] == "provider-id=hcloud://42"
    assert agent(spec, addresses=host)["kubelet-arg"][-1] == "provider-id=hcloud://42"


def test_a_private_host_without_a_public_address() -> None:
    config = server(addresses=replace(HOST, public_ip=None))
    assert "node-external-ip" not in config
    assert config["tls-san"] == ["10.0.0.2", "127.0.0.1"]


def test_pods_never_cross_the_internet_for_want_of_an_interface() -> None:
    with pytest.raises(ValueError, match=r"c-master1: no interface holds the private address 10\.0\.0\.2"):
        server(addresses=replace(HOST, interface=None))
    with pytest.raises(ValueError, match="without an address"):
        server(addresses=replace(HOST, internal_ip=None, public_ip=None))


def test_texts_that_look_like_other_things_stay_texts() -> None:
    config = server(replace(SPEC, args=ComponentArgs(kube_apiserver=("on", "0600", "a: b", '"', "ü"))))
    assert config["kube-apiserver-arg"] == ["on", "0600", "a: b", '"', "ü"]
    text = render_server(SPEC, MASTER, HOST, tokens=ClusterTokens(Secret("0123")), server_url=None).reveal()
    assert text.startswith('token: "0123"\n')


def test_registries_are_written_as_given() -> None:
    assert render_registries(SPEC).reveal() == 'mirrors:\n  "*":\n'
    spec = replace(SPEC, addons=AddonsSpec(registries=Secret("\n\nmirrors:\n  docker.io: {}\n\n")))
    assert render_registries(spec).reveal() == "mirrors:\n  docker.io: {}\n"


def test_urls() -> None:
    assert api_url("10.0.0.3") == "https://10.0.0.3:6443"
    assert api_url("fd00::3") == "https://[fd00::3]:6443"


S3 = S3Spec(
    endpoint="10.0.0.9:9000",
    region="fsn1",
    bucket="backups",
    access_key=Secret("AK"),
    secret_key=Secret("SK"),
    folder="c",
    path_style=True,
    insecure=True,
)


def test_snapshots_are_copied_to_s3_with_keys_that_stand_in_this_file_only() -> None:
    config = server(replace(SPEC, etcd=EtcdSpec(s3=S3)))
    assert {key: value for key, value in config.items() if key.startswith("etcd-s3")} == {
        "etcd-s3": True,
        "etcd-s3-endpoint": "10.0.0.9:9000",
        "etcd-s3-region": "fsn1",
        "etcd-s3-bucket": "backups",
        "etcd-s3-access-key": "AK",
        "etcd-s3-secret-key": "SK",
        "etcd-s3-folder": "c",
        "etcd-s3-bucket-lookup-type": "path",
        "etcd-s3-insecure": True,
    }


def test_plain_s3_says_no_more_than_it_must() -> None:
    config = server(replace(SPEC, etcd=EtcdSpec(s3=replace(S3, path_style=False, insecure=False))))
    assert not {"etcd-s3-bucket-lookup-type", "etcd-s3-insecure"} & config.keys()


def test_with_an_external_database_nothing_is_said_of_etcd_and_nobody_is_joined() -> None:
    endpoint = "postgres://k3s:secret@10.0.0.5:5432/kine"
    config = server(replace(SPEC, database=DatabaseSpec(endpoint=Secret(endpoint))), server_url=None)
    assert config["datastore-endpoint"] == endpoint
    assert not {key for key in config if key.startswith("etcd-") or key in {"server", "cluster-init"}}


def test_a_database_has_no_snapshots_of_etcd() -> None:
    with pytest.raises(ValueError, match="no snapshots"):
        replace(SPEC, database=DatabaseSpec(endpoint=Secret("mysql://h")), etcd=EtcdSpec(s3=S3))
