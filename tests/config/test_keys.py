"""Every key of the 2.x format (docs/facts/compatibility.md) is accepted, or refused by its name."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from hetzner_k3s.config.reference import walk

OK: Final = "accepted"
NOT_YET: Final = "is not supported yet by hetzner-k3s-py"
IDLE: Final = "has no effect"
NO_MASTER: Final = "masters cannot be external"

# What stands in an entry of a list beside the key under test.
ENTRIES: Final[dict[str, dict[str, Any]]] = {
    "labels": {"key": "purpose", "value": "builds"},
    "taints": {"key": "purpose", "value": "builds:NoExecute"},
    "custom_firewall_rules": {"source_ips": ["192.0.2.0/24"]},
    "nodes": {"host": "203.0.113.1", "ssh_user": "root", "ssh_private_key_path": "~/.ssh/id_rsa", "index": 1},
}

# Each key with a value that is not its default, and what becomes of it.
EXTERNAL: Final[dict[str, Any]] = {
    "external": {},
    "external.provider": "robot",
    "external.robot_user": "u",
    "external.robot_password": "p",
    "external.nodes": [],
    "external.nodes[].host": "203.0.113.9",
    "external.nodes[].ssh_user": "admin",
    "external.nodes[].ssh_port": 2222,
    "external.nodes[].ssh_private_key_path": "~/.ssh/other",
    "external.nodes[].manage_hostname": False,
    "external.nodes[].index": 1,
    "external.nodes[].robot_server_number": 123456,
}
POOL: Final[dict[str, tuple[Any, str]]] = {
    "name": ("other", OK),
    "instance_type": ("cax41", OK),
    "legacy_instance_type": ("cpx21", NOT_YET),
    "image": (103908130, OK),
    "instance_count": (1, OK),
    "labels": ([{"key": "a.example/b", "value": True}], OK),
    "labels[].key": ("a", OK),
    "labels[].value": (1, OK),
    "taints": ([{"key": "a", "value": "b:PreferNoSchedule"}], OK),
    "taints[].key": ("a", OK),
    "taints[].value": ("b", OK),
    "autoscaling": ({}, OK),
    "autoscaling.min_instances": (2, OK),
    "autoscaling.max_instances": (3, OK),
    "additional_pre_k3s_commands": (["apt update", ["apt", "install", "a b"]], OK),
    "additional_post_k3s_commands": ([["partprobe"]], OK),
    "additional_packages": (["htop"], OK),
    "kubelet_args": (["max-pods=200"], OK),
    "include_cluster_name_as_prefix": (False, IDLE),
    "grow_root_partition_automatically": (False, OK),
}
CILIUM: Final[dict[str, Any]] = {
    "chart_version": "1.18.0",
    "helm_values_path": "./values.yaml",
    "encryption_type": "ipsec",
    "routing_mode": "native",
    "tunnel_protocol": "geneve",
    "hubble_enabled": False,
    "hubble_metrics": "dns",
    "hubble_relay_enabled": False,
    "hubble_ui_enabled": False,
    "k8s_service_host": "127.0.0.2",
    "k8s_service_port": 6443,
    "operator_replicas": 2,
    "operator_memory_request": "1Gi",
    "agent_memory_request": "1Gi",
}
S3: Final[dict[str, Any]] = {
    "s3_endpoint": "https://s3.example.com",
    "s3_region": "r",
    "s3_bucket": "b",
    "s3_access_key": "a",
    "s3_secret_key": "s",
    "s3_folder": "f",
    "s3_force_path_style": True,
}
KEYS: Final[dict[str, tuple[Any, str]]] = {
    "hetzner_token": ("abc", OK),
    "cluster_name": ("other-1", OK),
    "kubeconfig_path": ("~/kubeconfig", OK),
    "k3s_version": ("v1.35.0-rc1+k3s2", OK),
    "config_format_version": (1, OK),
    "api_server_hostname": ("k8s.example.com", OK),
    "schedule_workloads_on_masters": (True, OK),
    "masters_pool": ({"instance_type": "cpx22"}, OK),
    **{f"masters_pool.{key}": case for key, case in POOL.items()},
    "masters_pool.autoscaling": ({}, IDLE),
    "masters_pool.autoscaling.enabled": (True, IDLE),
    "masters_pool.autoscaling.min_instances": (2, IDLE),
    "masters_pool.autoscaling.max_instances": (3, IDLE),
    "masters_pool.locations": (["nbg1"], OK),
    **{f"masters_pool.{key}": (value, NO_MASTER) for key, value in EXTERNAL.items()},
    "worker_node_pools": ([{"name": "a", "instance_type": "cpx22"}], OK),
    **{f"worker_node_pools[].{key}": case for key, case in POOL.items()},
    "worker_node_pools[].autoscaling.enabled": (True, NOT_YET),
    "worker_node_pools[].location": ("hel1", OK),
    **{f"worker_node_pools[].{key}": (value, NOT_YET) for key, value in EXTERNAL.items()},
    "additional_pre_k3s_commands": (["apt update", ["apt", "install", "a b"]], OK),
    "additional_post_k3s_commands": ([["partprobe"]], OK),
    "additional_packages": (["htop"], OK),
    "kube_api_server_args": (["v=2"], OK),
    "kube_scheduler_args": (["v=2"], OK),
    "kube_controller_manager_args": (["v=2"], OK),
    "kube_cloud_controller_manager_args": (["v=2"], OK),
    "cluster_autoscaler_args": (["--v=2"], IDLE),
    "kubelet_args": (["max-pods=200"], OK),
    "kube_proxy_args": (["v=2"], OK),
    "image": (103908130, OK),
    "autoscaling_image": ("debian-12", IDLE),
    "snapshot_os": ("microos", NOT_YET),
    "networking": ({}, OK),
    "networking.cni": ({}, OK),
    "networking.cni.enabled": (False, NOT_YET),
    "networking.cni.mode": ("cilium", NOT_YET),
    "networking.cni.encryption": (False, OK),
    "networking.cni.cilium_egress_gateway": (True, NOT_YET),
    "networking.cni.flannel": ({}, OK),
    "networking.cni.flannel.disable_kube_proxy": (True, IDLE),
    "networking.cni.cilium": ({}, OK),
    **{f"networking.cni.cilium.{key}": (value, IDLE) for key, value in CILIUM.items()},
    "networking.private_network": ({}, OK),
    "networking.private_network.enabled": (False, OK),
    "networking.private_network.subnet": ("10.1.0.0/16", OK),
    "networking.private_network.existing_network_name": ("mine", OK),
    "networking.public_network": ({}, OK),
    "networking.public_network.ipv4": (False, NOT_YET),
    "networking.public_network.ipv6": (False, OK),
    "networking.public_network.hetzner_ips_query_server_url": ("https://ips.example.com", IDLE),
    "networking.public_network.use_local_firewall": (True, NOT_YET),
    "networking.allowed_networks": ({}, OK),
    "networking.allowed_networks.ssh": (["192.0.2.0/24", "2001:db8::/32"], OK),
    "networking.allowed_networks.api": (["192.0.2.1"], OK),
    "networking.allowed_networks.custom_firewall_rules": ([], OK),
    "networking.allowed_networks.custom_firewall_rules[].description": ("web", OK),
    "networking.allowed_networks.custom_firewall_rules[].protocol": ("esp", OK),
    "networking.allowed_networks.custom_firewall_rules[].direction": ("in", OK),
    "networking.allowed_networks.custom_firewall_rules[].port": (80, OK),
    "networking.allowed_networks.custom_firewall_rules[].source_ips": (["0.0.0.0/0"], OK),
    "networking.allowed_networks.custom_firewall_rules[].destination_ips": (["0.0.0.0/0"], IDLE),
    "networking.ssh": ({}, OK),
    "networking.ssh.port": (2222, OK),
    "networking.ssh.use_agent": (True, OK),
    "networking.ssh.use_private_ip": (True, OK),
    "networking.ssh.private_key_path": ("~/.ssh/id_ed25519", OK),
    "networking.ssh.public_key_path": ("~/.ssh/id_ed25519.pub", OK),
    "networking.ssh.existing_ssh_key_name": ("mine", OK),
    "networking.node_port_firewall_enabled": (False, OK),
    "networking.node_port_range": (30000, OK),
    "networking.cluster_cidr": ("10.200.0.0/16", OK),
    "networking.service_cidr": ("10.40.0.0/13", OK),
    "networking.cluster_dns": ("10.43.0.11", OK),
    "networking.cluster_domain": ("cluster.example", OK),
    "datastore": ({}, OK),
    "datastore.mode": ("external", "external needs datastore.external_datastore_endpoint"),
    "datastore.external_datastore_endpoint": ("postgres://db", IDLE),
    "datastore.etcd": ({}, OK),
    "datastore.etcd.snapshot_retention": (48, OK),
    "datastore.etcd.snapshot_schedule_cron": ("@daily", OK),
    "datastore.etcd.s3_enabled": (False, OK),
    **{f"datastore.etcd.{key}": (value, IDLE) for key, value in S3.items()},
    "addons": ({}, OK),
    "addons.traefik": ({}, OK),
    "addons.traefik.enabled": (True, OK),
    "addons.servicelb": ({}, OK),
    "addons.servicelb.enabled": (True, OK),
    "addons.metrics_server": ({}, OK),
    "addons.metrics_server.enabled": (True, OK),
    "addons.local_path_storage_class": ({}, OK),
    "addons.local_path_storage_class.enabled": (True, OK),
    "addons.csi_driver": ({}, OK),
    "addons.csi_driver.enabled": (False, OK),
    "addons.csi_driver.manifest_url": ("https://example.com/csi.yaml", NOT_YET),
    "addons.cloud_controller_manager": ({}, OK),
    "addons.cloud_controller_manager.enabled": (False, OK),
    "addons.cloud_controller_manager.manifest_url": ("https://example.com/ccm.yaml", NOT_YET),
    "addons.cert_manager": ({}, OK),
    "addons.cert_manager.enabled": (True, OK),
    "addons.system_upgrade_controller": ({}, OK),
    "addons.system_upgrade_controller.enabled": (True, NOT_YET),
    "addons.system_upgrade_controller.deployment_manifest_url": ("https://example.com/suc.yaml", NOT_YET),
    "addons.system_upgrade_controller.crd_manifest_url": ("https://example.com/crd.yaml", NOT_YET),
    "addons.cluster_autoscaler": ({}, OK),
    "addons.cluster_autoscaler.enabled": (True, NOT_YET),
    "addons.cluster_autoscaler.manifest_url": ("https://example.com/ca.yaml", NOT_YET),
    "addons.cluster_autoscaler.local_manifest_path": ("./ca.yaml", NOT_YET),
    "addons.cluster_autoscaler.container_image_tag": ("v1.35.0", NOT_YET),
    "addons.cluster_autoscaler.scan_interval": ("1m", NOT_YET),
    "addons.cluster_autoscaler.scale_down_delay_after_add": ("1m", NOT_YET),
    "addons.cluster_autoscaler.scale_down_delay_after_delete": ("1m", NOT_YET),
    "addons.cluster_autoscaler.scale_down_delay_after_failure": ("1m", NOT_YET),
    "addons.cluster_autoscaler.max_node_provision_time": ("1m", NOT_YET),
    "addons.embedded_registry_mirror": ({}, OK),
    "addons.embedded_registry_mirror.enabled": (False, OK),
    "addons.embedded_registry_mirror.private_registry_config": ("mirrors:\n  docker.io:\n", OK),
    "include_instance_type_in_instance_name": (True, OK),
    "protect_against_deletion": (False, OK),
    "create_load_balancer_for_the_kubernetes_api": (True, IDLE),  # there is one master here
    "k3s_upgrade_concurrency": (2, OK),
    "grow_root_partition_automatically": (False, OK),
}
ONE_MASTER: Final[dict[str, Any]] = {
    "cluster_name": "test",
    "kubeconfig_path": "./kubeconfig",
    "k3s_version": "v1.36.3+k3s1",
    "masters_pool": {"instance_type": "cpx22"},
    "worker_node_pools": [{"name": "small", "instance_type": "cpx22"}],
}


def put(tree: dict[str, Any], dotted: str, value: object) -> dict[str, Any]:
    """Set a key in a copy of `tree`; `[]` is the first entry of a list, made with what it needs if it is not there."""
    copied = copy.deepcopy(tree)
    *parents, last = dotted.split(".")
    node: dict[str, Any] = copied
    for part in parents:
        name = part.removesuffix("[]")
        child = node.setdefault(name, [copy.deepcopy(ENTRIES.get(name, {}))] if part.endswith("[]") else {})
        node = child[0] if part.endswith("[]") else child
    node[last] = value
    return copied


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_accepted_or_refused_by_name(key: str, findings: Callable[[Any], list[str]]) -> None:
    value, outcome = KEYS[key]
    lines = findings(put(ONE_MASTER, key, value))
    if outcome == OK:
        assert lines == []
    else:
        named = named_in_messages(key)
        assert any(f" {named}: " in line and outcome in line for line in lines), lines


def named_in_messages(key: str) -> str:
    """Say which key a message names: of an external pool's or Cilium's keys it is the section."""
    named = key.replace("[]", "[0]")
    for section in (".external", ".autoscaling", ".cilium"):
        before, found, after = named.partition(section)
        masters_or_more = section != ".autoscaling" or before == "masters_pool"
        if found and masters_or_more and after[:1] in ("", "."):
            return before + section
    return named


def test_the_table_above_has_every_key_of_the_schema() -> None:
    assert sorted(KEYS) == sorted(key for key, _ in walk())


def test_the_defaults_are_those_of_2_6() -> None:
    defaults = {key: field.get_default(call_default_factory=False) for key, field in walk()}
    expected = {
        "image": "ubuntu-24.04",
        "k3s_upgrade_concurrency": 1,
        "grow_root_partition_automatically": True,
        "protect_against_deletion": True,
        "masters_pool.instance_count": 1,
        "masters_pool.locations": ["fsn1"],
        "worker_node_pools[].location": "fsn1",
        "networking.cni.mode": "flannel",
        "networking.cni.encryption": True,
        "networking.private_network.subnet": "10.0.0.0/16",
        "networking.node_port_range": "30000-32767",
        "networking.cluster_cidr": "10.244.0.0/16",
        "networking.service_cidr": "10.43.0.0/16",
        "networking.cluster_dns": "10.43.0.10",
        "networking.ssh.private_key_path": "~/.ssh/id_rsa",
        "datastore.mode": "etcd",
        "datastore.etcd.snapshot_retention": 24,
        "datastore.etcd.snapshot_schedule_cron": "0 * * * *",
        "addons.embedded_registry_mirror.enabled": True,
        "addons.csi_driver.enabled": True,
        "addons.cloud_controller_manager.enabled": True,
        "addons.system_upgrade_controller.enabled": True,
        "addons.cluster_autoscaler.enabled": True,
        "addons.cert_manager.enabled": False,
        "addons.traefik.enabled": False,
        "addons.servicelb.enabled": False,
        "addons.metrics_server.enabled": False,
        "addons.local_path_storage_class.enabled": False,
    }
    assert {key: defaults[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("masters_pool.instance_count", "three"),
        ("masters_pool.instance_count", "1"),
        ("masters_pool.instance_count", 1.5),
        ("masters_pool.instance_count", [1]),
        ("protect_against_deletion", "true"),
        ("protect_against_deletion", 1),
        ("cluster_name", ["a"]),
        ("cluster_name", {"a": "b"}),
        ("additional_packages", "htop"),
        ("additional_packages", [{"a": "b"}]),
        ("additional_packages", [None]),
        ("additional_post_k3s_commands", [[["a"]]]),
        ("additional_post_k3s_commands", [[]]),
        ("networking", "flannel"),
        ("networking", []),
        ("worker_node_pools", {}),
        ("worker_node_pools", ["small"]),
        ("k3s_version", "1.36"),
        ("k3s_version", "v1.36.3"),
        ("networking.allowed_networks.ssh", "0.0.0.0/0"),
        ("networking.cluster_dns", "dns"),
        ("addons.embedded_registry_mirror.private_registry_config", {"mirrors": {}}),
    ],
)
def test_a_wrong_type_is_one_message_at_its_key(key: str, value: object, findings: Callable[[Any], list[str]]) -> None:
    (line,) = findings(put(ONE_MASTER, key, value))
    assert line.startswith("cluster.yaml:1:")
    assert f" {key}" in line
    assert "expected" in line or "no command" in line or "IP address" in line


def test_texts_may_look_like_other_things_and_switches_have_the_words_of_yaml_1_1(
    load_text: Callable[[Any], Any],
) -> None:
    spec = load_text(
        put(put(ONE_MASTER, "image", 103908130), "masters_pool.labels", [{"key": "a", "value": True}])
    ).spec
    assert spec.masters[0].image == "103908130"
    assert str(spec.masters[0].labels[0]) == "a=true"
    text = "cluster_name: test\nkubeconfig_path: k\nk3s_version: v1.36.3+k3s1\nmasters_pool: {instance_type: cpx22}\n"
    assert load_text(text + "schedule_workloads_on_masters: yes\n").spec.schedule_workloads_on_masters
