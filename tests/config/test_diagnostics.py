# ruff: noqa: E501 (a message is one line)
"""All mistakes of a file at once, each at its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from inline_snapshot import snapshot

from hetzner_k3s.config.diagnostics import ConfigError

Findings = Callable[[Any], list[str]]

EVERYTHING_WRONG = """\
hetzner_token: abc
cluster_name: Test-
kubeconfig_path: /
masters_pool:
  instance_type: cpx22
  locatoin: [fsn1, hel1]
  instance_count: 2
worker_node_pools:
  - name: a
    instance_type: cpx22
    instance_count: "3"
    labels: [{key: a}]
    taints: [{key: a, value: "b:Never"}]
    autoscaling: {enabled: true}
  - instance_type: [cpx22]
    location: ash
ssh_allowed_networks: [192.0.2.0/24]
schedule_workloads_on_masters: maybe
networking:
  clustr_cidr: 10.0.0.0/8
  cluster_cidr: 10.43.0.0/8
  ssh: {port: 99999}
  node_port_range: 500-200
  cni: {mode: calico}
  allowed_networks:
    api: [somewhere]
    ssh: []
addons:
  - traefik
cluster_name: other
"""


def test_every_mistake_of_a_file_is_shown_at_once(findings: Findings) -> None:
    assert findings(EVERYTHING_WRONG) == snapshot(
        [
            "cluster.yaml: k3s_version: is required",
            "cluster.yaml:2:15: cluster_name: takes lower-case letters, digits and dashes, starts with a letter and ends with a letter or digit",
            "cluster.yaml:3:18: kubeconfig_path: / is a directory; expected the path of a file to write",
            'cluster.yaml:6:3: masters_pool.locatoin: unknown key (did you mean "locations"?)',
            "cluster.yaml:7:19: masters_pool.instance_count: etcd needs an odd number of masters, 1 or better 3; got 2",
            "cluster.yaml:11:21: worker_node_pools[0].instance_count: expected a whole number, got text in quotes: take the quotes away",
            "cluster.yaml:12:14: worker_node_pools[0].labels[0].value: is required",
            "cluster.yaml:13:30: worker_node_pools[0].taints[0].value: 'Never' is no effect: one of NoSchedule, PreferNoSchedule, NoExecute",
            "cluster.yaml:14:5: worker_node_pools[0].autoscaling: max_instances must be more than min_instances",
            "cluster.yaml:14:28: worker_node_pools[0].autoscaling.enabled: is not supported yet by hetzner-k3s-py: give the pool an instance_count",
            "cluster.yaml:15:5: worker_node_pools[1].name: is required",
            "cluster.yaml:15:20: worker_node_pools[1].instance_type: expected text, got a list",
            "cluster.yaml:17:1: warning: ssh_allowed_networks: is ignored, as in 2.6: set networking.allowed_networks.ssh instead",
            "cluster.yaml:18:32: schedule_workloads_on_masters: expected true or false, got 'maybe'",
            'cluster.yaml:20:3: networking.clustr_cidr: unknown key (did you mean "cluster_cidr"?)',
            "cluster.yaml:21:17: networking.service_cidr: overlaps cluster_cidr 10.0.0.0/8 (the file does not set it, 10.43.0.0/16 is the default)",
            "cluster.yaml:21:17: warning: networking.cluster_cidr: overlaps private_network.subnet 10.0.0.0/16",
            "cluster.yaml:22:15: networking.ssh.port: must be between 1 and 65535",
            "cluster.yaml:23:20: networking.node_port_range: the range 500-200 ends before it starts",
            "cluster.yaml:24:15: networking.cni.mode: expected 'flannel' or 'cilium', got 'calico'",
            "cluster.yaml:26:11: networking.allowed_networks.api[0]: 'somewhere' is not a network in CIDR notation (such as 10.0.0.0/16)",
            "cluster.yaml:27:10: networking.allowed_networks.ssh: needs at least one network: you would be locked out",
            "cluster.yaml:29:3: addons: expected a section (`key: value`), got a list",
            "cluster.yaml:30:1: cluster_name: given twice, first on line 2",
        ]
    )


def test_the_example_of_the_architecture(findings: Findings, minimal: dict[str, Any]) -> None:
    text = """\
cluster_name: test
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1
schedule_workloads_on_masters: true
masters_pool:
  locatoin: [fsn1]
  instance_type: cpx22
"""
    assert findings(text) == ['cluster.yaml:6:3: masters_pool.locatoin: unknown key (did you mean "locations"?)']


def test_a_mistake_does_not_draw_others_after_it(findings: Findings, minimal: dict[str, Any]) -> None:
    minimal["masters_pool"]["locations"] = "fsn1"  # three masters, and the default would be one location
    assert findings(minimal) == ["cluster.yaml:1:169: masters_pool.locations: expected a list, got a single value"]


def test_sections_of_the_wrong_kind(findings: Findings) -> None:
    text = "cluster_name: [a]\nkubeconfig_path: {a: 1}\nk3s_version: 1\nmasters_pool: 3\nworker_node_pools: {a: 1}\n"
    assert findings(text) == snapshot(
        [
            "cluster.yaml:1:15: cluster_name: expected text, got a list",
            "cluster.yaml:2:18: kubeconfig_path: expected text, got a section",
            "cluster.yaml:3:14: k3s_version: '1' is not a k3s release: expected a form such as v1.36.3+k3s1",
            "cluster.yaml:4:15: masters_pool: expected a section (`key: value`), got a single value",
            "cluster.yaml:5:20: worker_node_pools: expected a list, got a section",
        ]
    )


def test_ten_thousand_unknown_keys_end_in_a_number(findings: Findings) -> None:
    lines = findings("".join(f"k{number}: v\n" for number in range(10_000)))
    assert len(lines) <= 110
    assert "cluster.yaml: and 9904 more mistakes" in lines


def test_a_long_key_is_cut(findings: Findings) -> None:
    assert all(len(line) < 250 for line in findings(f"{'k' * 5000}: 1\n"))


@pytest.mark.parametrize("key", ["hetzner_token", "worker_node_pools", "datastore", "addons"])
def test_no_message_repeats_a_secret(key: str, findings: Findings, minimal: dict[str, Any]) -> None:
    secret = "s3cr\u00e9t-\u2603"
    minimal |= {
        "hetzner_token": secret,
        "datastore": {"external_datastore_endpoint": [secret], "etcd": {"s3_secret_key": {"a": secret}}},
        "addons": {"embedded_registry_mirror": {"private_registry_config": f"a: '{secret}"}},
    }
    lines = findings(minimal)
    assert any(key in line for line in lines) or key == "worker_node_pools"
    assert not any(secret in line for line in lines)


def test_diagnostics_tell_their_place_and_severity(load_text: Callable[[Any], Any], minimal: dict[str, Any]) -> None:
    minimal["sssh_port"] = 1
    with pytest.raises(ConfigError) as caught:
        load_text(minimal)
    (found,) = caught.value.diagnostics
    assert (found.line, found.key, found.severity) == (1, "sssh_port", "error")


def test_an_unknown_key_hides_no_mistake_of_the_one_that_it_resembles(
    findings: Findings, minimal: dict[str, Any]
) -> None:
    minimal["masters_pool"]["instance_count"] = 2
    minimal["masters_poll"] = {}
    told = findings(minimal)
    assert any("masters_poll: unknown key" in line for line in told)
    assert any("masters_pool.instance_count: etcd needs an odd number" in line for line in told)
