"""Messages lead to the right key: at any level of the file, with or without a value, given or by default."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Findings = Callable[[Any], list[str]]

HEAD = """\
cluster_name: test
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1
schedule_workloads_on_masters: true
masters_pool:
  instance_type: cpx22
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "networking:\n  allowed_networks:\n    public_network: {ipv4: true}\n",
            '9:5: networking.allowed_networks.public_network: unknown key (did you mean "networking.public_network"?)',
        ),
        (
            "networking:\n  allowed_networks:\n    custom: []\n",
            '9:5: networking.allowed_networks.custom: unknown key (did you mean "custom_firewall_rules"?)',
        ),
        (
            "mbedded_registry_mirror: {enabled: true}\n",
            '7:1: mbedded_registry_mirror: unknown key (did you mean "addons.embedded_registry_mirror"?)',
        ),
        (
            "snapshot_retention: 3\n",
            '7:1: snapshot_retention: unknown key (did you mean "datastore.etcd.snapshot_retention"?)',
        ),
        ("  private_key_path: x\n", 'unknown key (did you mean "networking.ssh.private_key_path"?)'),
        ("xyzzy: 1\n", "7:1: xyzzy: unknown key"),
    ],
)
def test_a_key_at_the_wrong_place_is_told_the_right_one(text: str, message: str, findings: Findings) -> None:
    (line,) = findings(HEAD + text)
    assert line.endswith(message)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("spec:\n", "cluster.yaml:7:1: spec: unknown key"),
        ("allowed_network:\n", '7:1: allowed_network: unknown key (did you mean "networking.allowed_networks"?)'),
        ("worker_node_pool:\n", '7:1: worker_node_pool: unknown key (did you mean "worker_node_pools"?)'),
        ("  locatoins: ~\n", '7:3: masters_pool.locatoins: unknown key (did you mean "locations"?)'),
        ("networking:\n  ssh:\n    prot: null\n", '9:5: networking.ssh.prot: unknown key (did you mean "port"?)'),
    ],
)
def test_an_unknown_key_without_a_value_is_an_error_too(text: str, message: str, findings: Findings) -> None:
    (line,) = findings(HEAD + text)
    assert line.endswith(message)


@pytest.mark.parametrize("text", ["networking:\n", "image: ~\n", "x-mine:\n", "manifests:\n", "  location:\n"])
def test_a_known_key_without_a_value_counts_as_left_out(text: str, findings: Findings) -> None:
    assert findings(HEAD + text) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "networking: {service_cidr: 10.96.0.0/16}\n",
            "7:28: networking.cluster_dns: 10.43.0.10 is not in service_cidr 10.96.0.0/16 "
            "(the file does not set it, 10.43.0.10 is the default)",
        ),
        (
            "networking: {cluster_cidr: 10.43.0.0/16}\n",
            "7:28: networking.service_cidr: overlaps cluster_cidr 10.43.0.0/16 "
            "(the file does not set it, 10.43.0.0/16 is the default)",
        ),
        (
            "networking: {ssh: {private_key_path: ~/.ssh/id_rsa, public_key_path: /nowhere}}\n",
            "7:70: networking.ssh.public_key_path: cannot read /nowhere: No such file or directory",
        ),
        (
            "  instance_count: 3\n",
            "5:1: masters_pool.locations: expected 3 locations, one for each master (or one for all); "
            "the file gives none",
        ),
        (
            "worker_node_pools: [{name: a, instance_type: cpx22, location: ash}]\n",
            "7:63: worker_node_pools[0].location: is in network zone us-east, the masters are in eu-central "
            "(fsn1, the default of masters_pool.locations)",
        ),
    ],
)
def test_a_default_is_not_reported_as_if_it_were_given(text: str, message: str, findings: Findings) -> None:
    (line,) = findings(HEAD + text)
    assert line.removeprefix("cluster.yaml:") == message
