"""From a file to a ClusterSpec."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hetzner_k3s.config.loader import ConfigFile
from hetzner_k3s.model.spec import BootSpec, ClusterSpec, FirewallRuleSpec, PlacementGroupSpec, PortRange

Load = Callable[..., ConfigFile]


def test_names_locations_and_groups(load_text: Load, minimal: dict[str, Any]) -> None:
    spec = load_text(minimal).spec
    assert [(m.name, m.index, m.location, m.placement_group) for m in spec.masters] == [
        ("test-master1", 1, "fsn1", "test-masters-pg1"),
        ("test-master2", 2, "hel1", "test-masters-pg1"),
        ("test-master3", 3, "nbg1", "test-masters-pg1"),
    ]
    assert [(w.name, w.pool, w.index, w.location, w.placement_group) for w in spec.workers()] == [
        ("test-pool-small-worker1", "small", 1, "fsn1", "test-pool-small-workers-pg1"),
        ("test-pool-small-worker2", "small", 2, "fsn1", "test-pool-small-workers-pg1"),
    ]
    assert spec.master_names == ("test-master1", "test-master2", "test-master3")
    assert [server.role for server in spec.servers()] == ["master"] * 3 + ["worker"] * 2
    assert (spec.network_name, spec.ssh_key_name) == ("test", "test")


def test_instance_types_in_names(load_text: Load, minimal: dict[str, Any]) -> None:
    spec = load_text(minimal | {"include_instance_type_in_instance_name": True}).spec
    assert spec.master_names[0] == "test-cpx22-master1"
    assert spec.workers()[0].name == "test-cpx22-pool-small-worker1"


def test_one_location_for_all_masters(load_text: Load, minimal: dict[str, Any]) -> None:
    minimal["masters_pool"]["locations"] = ["sin"]
    minimal["worker_node_pools"][0]["location"] = "sin"
    spec = load_text(minimal).spec
    assert [master.location for master in spec.masters] == ["sin"] * 3
    assert spec.network.zone == "ap-southeast"


def test_a_group_holds_ten_and_one_stays_free_for_the_lock(load_text: Load, minimal: dict[str, Any]) -> None:
    pool = {"instance_type": "cpx22", "instance_count": 470}
    minimal["worker_node_pools"] = [{"name": "a", **pool}, {"name": "b", **pool}]
    spec = load_text(minimal).spec
    groups = spec.placement_groups()
    assert len(groups) == 49
    assert groups[0] == PlacementGroupSpec(name="test-masters-pg1")
    assert groups[47] == PlacementGroupSpec(name="test-pool-a-workers-pg47", pool="a")
    assert groups[48] == PlacementGroupSpec(name="test-pool-b-workers-pg1", pool="b")
    workers = spec.workers()
    assert [workers[9].placement_group, workers[10].placement_group] == [
        "test-pool-a-workers-pg1",
        "test-pool-a-workers-pg2",
    ]
    assert workers[480].placement_group is None


def test_a_pool_replaces_the_roots_lists_even_by_an_empty_one(load_text: Load, minimal: dict[str, Any]) -> None:
    minimal |= {
        "additional_packages": ["htop"],
        "additional_pre_k3s_commands": ["echo root", ["echo", "a b", "$c"]],
        "additional_post_k3s_commands": ["echo done"],
        "grow_root_partition_automatically": False,
    }
    minimal["worker_node_pools"][0] |= {"additional_packages": [], "grow_root_partition_automatically": True}
    spec = load_text(minimal).spec
    commands = {
        "pre_k3s_commands": ("echo root", "echo 'a b' '$c'"),
        "post_k3s_commands": ("echo done",),
    }
    assert spec.masters[0].boot == BootSpec(packages=("htop",), grow_root_partition=False, **commands)
    assert spec.workers()[0].boot == BootSpec(packages=(), grow_root_partition=True, **commands)


def test_a_pool_has_the_kubelet_arguments_of_the_cluster_unless_it_names_its_own(
    load_text: Load, minimal: dict[str, Any]
) -> None:
    minimal["kubelet_args"] = ["max-pods=200"]
    assert {server.kubelet_args for server in load_text(minimal).spec.servers()} == {None}
    minimal["masters_pool"]["kubelet_args"] = []
    minimal["worker_node_pools"][0]["kubelet_args"] = ["system-reserved=memory=1Gi"]
    spec = load_text(minimal).spec
    assert {master.kubelet_args for master in spec.masters} == {()}
    assert {worker.kubelet_args for worker in spec.workers()} == {("system-reserved=memory=1Gi",)}
    assert spec.args.kubelet == ("max-pods=200",)


def test_images_and_labels_and_taints(load_text: Load, minimal: dict[str, Any]) -> None:
    minimal["image"] = "debian-12"
    minimal["worker_node_pools"][0] |= {
        "image": 103908130,
        "labels": [{"key": "a", "value": "b"}],
        "taints": [{"key": "c", "value": "d:NoExecute"}, {"key": "e", "value": "f"}],
    }
    spec = load_text(minimal).spec
    assert (spec.masters[0].image, spec.pools[0].image) == ("debian-12", "103908130")
    worker = spec.workers()[0]
    assert [str(label) for label in worker.labels] == ["a=b"]
    assert [str(taint) for taint in worker.taints] == ["c=d:NoExecute", "e=f:NoSchedule"]


def test_firewall(load_text: Load, minimal: dict[str, Any]) -> None:
    minimal["networking"] = {
        "node_port_range": "30000",
        "allowed_networks": {
            "ssh": ["192.0.2.77/24", "2001:db8::1"],
            "custom_firewall_rules": [
                {"source_ips": ["10.1.2.3/8"], "port": 80},
                {"protocol": "gre", "direction": "out", "destination_ips": ["0.0.0.0/0"], "description": "tunnel"},
            ],
        },
    }
    firewall = load_text(minimal).spec.firewall
    assert firewall.ssh_networks == ("192.0.2.0/24", "2001:db8::1/128")
    assert firewall.api_networks == ("0.0.0.0/0",)
    assert firewall.node_ports == PortRange(first=30000, last=30000)
    assert firewall.custom_rules == (
        FirewallRuleSpec(
            description="Allow TCP 80", protocol="tcp", direction="in", port="80", addresses=("10.0.0.0/8",)
        ),
        FirewallRuleSpec(description="tunnel", protocol="gre", direction="out", port=None, addresses=("0.0.0.0/0",)),
    )
    minimal["networking"]["node_port_firewall_enabled"] = False
    assert load_text(minimal).spec.firewall.node_ports is None


def test_the_load_balancer_needs_more_than_one_master(load_text: Load, minimal: dict[str, Any]) -> None:
    minimal["create_load_balancer_for_the_kubernetes_api"] = True
    assert load_text(minimal).spec.api_load_balancer
    minimal["masters_pool"] = {"instance_type": "cpx22"}
    assert not load_text(minimal).spec.api_load_balancer


def test_defaults_without_effect_are_named_until_they_are_switched_off(
    load_text: Load, minimal: dict[str, Any]
) -> None:
    (sentence,) = load_text(minimal).spec.not_yet
    assert "addons.system_upgrade_controller, addons.cluster_autoscaler; `enabled: false` in each" in sentence
    one = {"system_upgrade_controller": {"enabled": False}}
    assert "py: addons.cluster_autoscaler;" in load_text(minimal | {"addons": one}).spec.not_yet[0]
    off = {"system_upgrade_controller": {"enabled": False}, "cluster_autoscaler": {"enabled": False}}
    assert load_text(minimal | {"addons": off}).spec.not_yet == ()


def test_one_pool_written_once_with_an_anchor(load_text: Load) -> None:
    text = """\
x-pool: &pool
  instance_type: cpx22
  instance_count: 2
cluster_name: test
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1
masters_pool: {instance_type: cpx22}
worker_node_pools:
  - {<<: *pool, name: a}
  - <<: *pool
    name: b
    instance_count: 1
"""
    spec = load_text(text).spec
    assert [worker.name for worker in spec.workers()] == [
        "test-pool-a-worker1",
        "test-pool-a-worker2",
        "test-pool-b-worker1",
    ]


def test_a_spec_is_a_value(load_text: Load, minimal: dict[str, Any]) -> None:
    one, other = load_text(minimal).spec, load_text(minimal).spec
    assert one == other
    assert isinstance(one, ClusterSpec)
    assert hash(one) == hash(other)
