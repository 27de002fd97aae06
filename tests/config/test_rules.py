"""What settings ask of one another."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

Findings = Callable[[Any], list[str]]

THREE = {"instance_type": "cpx22", "instance_count": 3}


def masters(**settings: object) -> dict[str, Any]:
    return {"masters_pool": {"instance_type": "cpx22", **settings}}


def workers(*pools: dict[str, Any]) -> dict[str, Any]:
    return {"worker_node_pools": [{"name": "a", "instance_type": "cpx22", **pool} for pool in pools]}


def networking(**settings: object) -> dict[str, Any]:
    return {"networking": settings}


def rule(**settings: object) -> dict[str, Any]:
    return networking(allowed_networks={"custom_firewall_rules": [{"source_ips": ["0.0.0.0/0"], **settings}]})


IN_THE_INTERNET = {"private_network": {"enabled": False}, "cni": {"encryption": True}, "cluster_cidr": "10.240.0.0/14"}

OUTWARD = {"direction": "out", "destination_ips": ["0.0.0.0/0"], "port": "443"}
EVERYWHERE = [{"direction": "out", "destination_ips": ["0.0.0.0/0"], "protocol": p} for p in ("tcp", "udp")]
HUNDRED = {"source_ips": ["10.0.0.0/8"] * 100}

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"config_format_version": 2}, 'config_format_version: must be "1"'),
    (
        networking(**IN_THE_INTERNET, ssh={"use_private_ip": True}),
        "networking.ssh.use_private_ip: there is no private address",
    ),
    (
        networking(**IN_THE_INTERNET, allowed_networks={"custom_firewall_rules": [OUTWARD]}),
        "custom_firewall_rules[0].direction: a rule of direction out closes every other way out",
    ),
    (
        networking(**IN_THE_INTERNET, allowed_networks={"api": ["::/0"]}) | workers({"instance_count": 300}),
        "networking.allowed_networks.api: must hold 0.0.0.0/0",
    ),
    (
        networking(allowed_networks={"custom_firewall_rules": [{"source_ips": ["10.0.0.0/8"] * 100}] * 5}),
        "networking.allowed_networks: all firewall rules together hold 511 networks",
    ),
    (
        networking(
            **IN_THE_INTERNET, allowed_networks={"ssh": ["10.0.0.0/8"] * 99, "custom_firewall_rules": [HUNDRED] * 2}
        )
        | workers({"instance_count": 245}),
        "networking.allowed_networks: all firewall rules together hold",
    ),
    (
        networking(**IN_THE_INTERNET, allowed_networks={"api": ["192.0.2.0/24"]}) | workers({"instance_count": 300}),
        "networking.allowed_networks.api: must hold 0.0.0.0/0: 303 nodes reach the API",
    ),
    (
        networking(**{**IN_THE_INTERNET, "cluster_cidr": "10.244.0.0/16"}) | workers({"instance_count": 300}),
        "networking.cluster_cidr: 10.244.0.0/16 has room for 256 nodes, a /24 for each; there are 303",
    ),
    ({"cluster_name": "-a"}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": "1a"}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": "a-"}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": "A"}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": "a_b"}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": "a\n"}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": ""}, "cluster_name: takes lower-case letters"),
    ({"cluster_name": "a" * 56}, "cluster_name: makes names of more than 63 characters (64), such as aaa"),
    (
        {"cluster_name": "a" * 40} | workers({"name": "b" * 15}),
        "worker_node_pools[0].name: makes names of more than 63",
    ),
    ({"k3s_upgrade_concurrency": 0}, "k3s_upgrade_concurrency: must be at least 1"),
    ({"api_server_hostname": "a b"}, "api_server_hostname: is no host name"),
    (masters(instance_count=2, locations=["fsn1", "hel1"]), "masters_pool.instance_count: etcd needs an odd number"),
    (masters(instance_count=0, locations=["fsn1"]), "masters_pool.instance_count: etcd needs an odd number"),
    (masters(instance_count=-1, locations=["fsn1"]), "masters_pool.instance_count: etcd needs an odd number"),
    (masters(instance_count=101, locations=["fsn1"]), "masters_pool.instance_count: at most 99"),
    (masters(instance_count=3), "masters_pool.locations: expected 3 locations"),
    (masters(instance_count=3, locations=["fsn1", "hel1"]), "masters_pool.locations: expected 3 locations"),
    (masters(instance_count=1, locations=["fsn1", "hel1"]), "masters_pool.locations: expected 1 locations"),
    (masters(locations=[]), "masters_pool.locations: expected 1 locations"),
    (
        masters(instance_count=3, locations=["fsn1", "hel1", "ash"]),
        "masters_pool.locations: masters must be in one network zone",
    ),
    (masters(instance_type="external"), "masters_pool.instance_type: masters cannot be external"),
    ({"worker_node_pools": []}, "worker_node_pools: at least one pool is needed"),
    ({"worker_node_pools": [{"instance_type": "cpx22"}]}, "worker_node_pools[0].name: is required"),
    (workers({"name": "a b"}), "worker_node_pools[0].name: takes letters, digits and dashes"),
    (workers({"name": ""}), "worker_node_pools[0].name: takes letters, digits and dashes"),
    (workers({"name": "a_b"}), "worker_node_pools[0].name: is part of host names"),
    (workers({"name": "Big"}), "worker_node_pools[0].name: is part of host names"),
    (workers({}, {"name": "b"}, {}), 'worker_node_pools[2].name: "a" is the name of 2 pools'),
    (workers({"instance_count": -1}), "worker_node_pools[0].instance_count: cannot be negative"),
    (workers({"instance_count": 10**9}), "worker_node_pools[0].instance_count: at most 5000"),
    (
        workers({"location": "ash"}),
        "worker_node_pools[0].location: is in network zone us-east, the masters are in eu-central",
    ),
    (
        workers({"autoscaling": {"enabled": True, "min_instances": 2, "max_instances": 2}}),
        "max_instances must be more than",
    ),
    (
        workers({"labels": [{"key": "hetzner-k3s.io/external", "value": "true"}]}),
        "labels[0].key: hetzner-k3s.io/external is reserved",
    ),
    (workers({"labels": [{"key": "a b", "value": "c"}]}), "worker_node_pools[0].labels[0].key: is no label key"),
    (workers({"labels": [{"key": "a", "value": "b c"}]}), "worker_node_pools[0].labels[0].value: is no label value"),
    (workers({"labels": [{"key": "a"}]}), "worker_node_pools[0].labels[0].value: is required"),
    (workers({"taints": [{"value": "a"}]}), "worker_node_pools[0].taints[0].key: is required"),
    (workers({"taints": [{"key": "a", "value": "b:Never"}]}), "taints[0].value: 'Never' is no effect"),
    (workers({"taints": [{"key": "a", "value": "b:c:NoSchedule"}]}), "taints[0].value: 'c:NoSchedule' is no effect"),
    (masters(taints=[{"key": "a b", "value": "c"}]), "masters_pool.taints[0].key: is no taint key"),
    ({"datastore": {"mode": "external"}}, "datastore.mode: external needs datastore.external_datastore_endpoint"),
    (
        {"datastore": {"mode": "external", "external_datastore_endpoint": "10.0.0.5:5432"}},
        "datastore.external_datastore_endpoint: expected a URL of a database",
    ),
    ({"datastore": {"etcd": {"snapshot_retention": -1}}}, "datastore.etcd.snapshot_retention: cannot be negative"),
    ({"datastore": {"etcd": {"snapshot_schedule_cron": "0.hourly"}}}, "snapshot_schedule_cron: expected five fields"),
    ({"datastore": {"etcd": {"snapshot_schedule_cron": "0 * * *"}}}, "snapshot_schedule_cron: expected five fields"),
    (
        networking(private_network={"enabled": False}, cni={"encryption": False}),
        "networking.cni.encryption: must be true without",
    ),
    (networking(private_network={"subnet": "10.0.0.0/33"}), "subnet: '10.0.0.0/33' is not a network"),
    (networking(ssh={"port": 0}), "networking.ssh.port: must be between 1 and 65535"),
    (networking(ssh={"port": 65536}), "networking.ssh.port: must be between 1 and 65535"),
    (networking(ssh={"port": 6443}), "networking.ssh.port: 6443 is a port of k3s itself"),
    (networking(private_network={"subnet": "203.0.113.0/24"}), "subnet: 203.0.113.0/24 is not private: Hetzner takes"),
    (networking(private_network={"subnet": "fd00::/64"}), "subnet: fd00::/64 is not private"),
    (networking(private_network={"subnet": "10.0.0.0/25"}), "subnet: 10.0.0.0/25 is too small"),
    (networking(allowed_networks={"ssh": ["10.0.0.1"] * 101}), "allowed_networks.ssh: at most 100 networks fit"),
    (
        networking(cluster_cidr="10.244.0.0/16,10.245.0.0/16", service_cidr="10.43.0.0/16,fd00:2::/112"),
        "networking.cluster_cidr: takes one network, or one of IPv4 and one of IPv6",
    ),
    (
        networking(cluster_cidr="10.244.0.0/16,fd00:1::/56"),
        "service_cidr: must have the same families as cluster_cidr",
    ),
    (networking(cluster_cidr="10.244.0.0/25"), "networking.cluster_cidr: 10.244.0.0/25 must be between /8 and /24"),
    (networking(cluster_cidr="10.244.0.0/22"), "10.244.0.0/22 has room for 4 nodes, a /24 for each; there are 5"),
    (networking(cluster_dns="10.43.0.1"), "networking.cluster_dns: 10.43.0.1 is the first address of service_cidr"),
    (networking(allowed_networks={"api": []}), "networking.allowed_networks.api: needs at least one network"),
    (
        networking(allowed_networks={"ssh": ["nowhere"]}),
        "networking.allowed_networks.ssh[0]: 'nowhere' is not a network",
    ),
    (networking(node_port_range="0"), "networking.node_port_range: ports must be between 1 and 65535"),
    (networking(node_port_range="30000-70000"), "networking.node_port_range: ports must be between 1 and 65535"),
    (networking(node_port_range="2-1"), "networking.node_port_range: the range 2-1 ends before it starts"),
    (networking(node_port_range="any"), "networking.node_port_range: 'any' is no port"),
    (networking(service_cidr="10.244.128.0/17"), "networking.service_cidr: overlaps cluster_cidr 10.244.0.0/16"),
    (networking(service_cidr="10.96.0.0/16"), "networking.cluster_dns: 10.43.0.10 is not in service_cidr"),
    (networking(cluster_domain="-"), "networking.cluster_domain: is no domain name"),
    (rule(protocol="http"), "protocol: expected 'tcp', 'udp', 'icmp', 'esp' or 'gre', got 'http'"),
    (rule(direction="up"), "direction: expected 'in' or 'out', got 'up'"),
    (rule(direction="out"), "custom_firewall_rules[0].destination_ips: direction out needs 1 to 100 networks, got 0"),
    (rule(source_ips=[]), "custom_firewall_rules[0].source_ips: direction in needs 1 to 100 networks, got 0"),
    (rule(source_ips=["10.0.0.1"] * 101), "source_ips: direction in needs 1 to 100 networks, got 101"),
    (rule(description="x" * 256), "custom_firewall_rules[0].description: has at most 255 characters"),
    (rule(port="http"), "custom_firewall_rules[0].port: 'http' is no port"),
    (rule(port="90-80"), "custom_firewall_rules[0].port: the range 90-80 ends before it starts"),
    (
        networking(allowed_networks={"custom_firewall_rules": [{"source_ips": ["10.0.0.0/8"]}] * 41}),
        "custom_firewall_rules: at most 40 rules fit, got 41",
    ),
    (
        {"addons": {"embedded_registry_mirror": {"private_registry_config": "a: ["}}},
        "addons.embedded_registry_mirror.private_registry_config: is not valid YAML",
    ),
    (
        {"addons": {"embedded_registry_mirror": {"private_registry_config": "- a"}}},
        "addons.embedded_registry_mirror.private_registry_config: is no registries.yaml",
    ),
]

ACCEPTED: list[dict[str, Any]] = [
    {"cluster_name": "a"},
    {"cluster_name": "a" * 55} | {"worker_node_pools": [], "schedule_workloads_on_masters": True},
    {"cluster_name": "a-1"},
    masters(instance_count=5, locations=["fsn1", "hel1", "nbg1", "fsn1", "hel1"]),
    masters(instance_count=3, locations=["nbg1"]),  # one for all, as the peer's documentation shows
    masters(locations=["ash"]) | workers({"location": "ash"}),
    workers({"instance_count": 0}),
    workers({"labels": [{"key": "a.b/c", "value": ""}], "taints": [{"key": "a", "value": ":NoExecute"}]}),
    {"datastore": {"etcd": {"snapshot_schedule_cron": ""}}},
    {"datastore": {"mode": "external", "external_datastore_endpoint": "postgres://u:p@db.example.com:5432/kine"}},
    {"datastore": {"etcd": {"snapshot_retention": 0}}},
    networking(private_network={"subnet": "203.0.113.0/24", "existing_network_name": "mine"}),
    networking(cluster_cidr="10.244.0.0/22") | {"kube_controller_manager_args": ["node-cidr-mask-size=26"]},
    networking(cluster_cidr="10.244.0.0/16,fd00:1::/56", service_cidr="10.43.0.0/16,fd00:2::/112"),
    rule(port="any"),
    rule(port="1-65535", protocol="udp"),
    networking(**IN_THE_INTERNET, allowed_networks={"custom_firewall_rules": [OUTWARD, *EVERYWHERE]}),
    networking(allowed_networks={"custom_firewall_rules": [OUTWARD]}),
    networking(allowed_networks={"custom_firewall_rules": [{"source_ips": ["10.0.0.0/8"]}] * 40}),
]

WARNED: list[tuple[dict[str, Any], str]] = [
    (  # not "all firewall rules together hold 811 networks": half of them are never sent
        networking(
            allowed_networks={"custom_firewall_rules": [HUNDRED | {"destination_ips": ["10.0.0.0/8"] * 100}] * 4}
        ),
        "custom_firewall_rules[3].destination_ips: has no effect with direction in",
    ),
    (networking(private_network={"subnet": "10.0.0.0/8"}), "cluster_cidr: overlaps private_network.subnet 10.0.0.0/8"),
    (rule(protocol="icmp", port=80), "port: has no effect with protocol icmp"),
    (
        {"addons": {"cluster_autoscaler": {"enabled": False, "scan_interval": "1m"}}},
        "addons.cluster_autoscaler.scan_interval: has no effect: the autoscaler is off",
    ),
    (
        {"addons": {"system_upgrade_controller": {"enabled": False, "crd_manifest_url": "x"}}},
        "addons.system_upgrade_controller.crd_manifest_url: has no effect: it is off",
    ),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_refused(change: dict[str, Any], message: str, findings: Findings, minimal: dict[str, Any]) -> None:
    lines = findings(minimal | copy.deepcopy(change))
    assert any(message in line and "warning" not in line for line in lines), lines


@pytest.mark.parametrize("change", ACCEPTED, ids=str)
def test_accepted(change: dict[str, Any], findings: Findings, minimal: dict[str, Any]) -> None:
    assert findings(minimal | copy.deepcopy(change)) == []


@pytest.mark.parametrize(("change", "message"), WARNED, ids=[message for _, message in WARNED])
def test_warned_of(change: dict[str, Any], message: str, findings: Findings, minimal: dict[str, Any]) -> None:
    lines = findings(minimal | copy.deepcopy(change))
    assert any("warning: " in line and message in line for line in lines), lines
    assert all("warning: " in line for line in lines)
