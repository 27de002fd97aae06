# ruff: noqa: E501 (a message is one line)
"""Files as users of the Crystal tool have them: read, or refused for nothing but what is not supported yet."""

from __future__ import annotations

from pathlib import Path

import pytest
from inline_snapshot import snapshot

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import load

FOLDER = Path(__file__).parent / "examples_of_2x"

OUTCOMES = {
    "quick-start": snapshot([]),
    "all-options": snapshot(
        [
            "all-options.yaml:50:3: warning: datastore.external_datastore_endpoint: has no effect: the mode is etcd",
            "all-options.yaml:74:14: worker_node_pools[1].autoscaling.enabled: is not supported yet by hetzner-k3s-py: give the pool an instance_count",
        ]
    ),
    "resize-root-partition": snapshot([]),
    "medium": snapshot([]),
    "large": snapshot(
        [
            "large.yaml:14:25: networking.public_network.use_local_firewall: is not supported yet by hetzner-k3s-py: Hetzner's firewall is used",
            "large.yaml:20:11: networking.cni.mode: is not supported yet by hetzner-k3s-py: use flannel",
            "large.yaml:21:1: warning: cluster_cidr: is ignored, as in 2.6: set networking.cluster_cidr instead",
            "large.yaml:22:1: warning: service_cidr: is ignored, as in 2.6: set networking.service_cidr instead",
            "large.yaml:23:1: warning: cluster_dns: is ignored, as in 2.6: set networking.cluster_dns instead",
            "large.yaml:34:26: worker_node_pools[0].autoscaling.enabled: is not supported yet by hetzner-k3s-py: give the pool an instance_count",
        ]
    ),
    "external-pool": snapshot(
        [
            "external-pool.yaml:7:40: networking.public_network.use_local_firewall: is not supported yet by hetzner-k3s-py: Hetzner's firewall is used",
            "external-pool.yaml:11:18: worker_node_pools[0].instance_type: is not supported yet by hetzner-k3s-py: workers are Hetzner Cloud servers",
            "external-pool.yaml:14:5: worker_node_pools[0].external: is not supported yet by hetzner-k3s-py: workers are Hetzner Cloud servers",
        ]
    ),
    "early-2x": snapshot(
        [
            "early-2x.yaml:9:1: warning: manifests: is ignored, as in 2.6: its settings live under `addons` now",
            "early-2x.yaml:10:3: warning: manifests.csi_driver_manifest_url: is ignored, as in 2.6: set addons.csi_driver.manifest_url instead",
            "early-2x.yaml:16:3: warning: masters_pool.location: is ignored, as in 2.6: set masters_pool.locations (a list) instead, or the masters go to fsn1, the default",
            "early-2x.yaml:22:1: warning: embedded_registry_mirror: is ignored, as in 2.6: set addons.embedded_registry_mirror instead",
            "early-2x.yaml:24:1: warning: cluster_autoscaler: is ignored, as in 2.6: set addons.cluster_autoscaler instead",
            "early-2x.yaml:26:1: warning: post_create_commands: is ignored, as in 2.6: set additional_post_k3s_commands instead",
        ]
    ),
    "version-1": snapshot(
        [
            "version-1.yaml:6:1: warning: public_ssh_key_path: is ignored, as in 2.6: set networking.ssh.public_key_path instead",
            "version-1.yaml:7:1: warning: private_ssh_key_path: is ignored, as in 2.6: set networking.ssh.private_key_path instead",
            "version-1.yaml:8:1: warning: use_ssh_agent: is ignored, as in 2.6: set networking.ssh.use_agent instead",
            "version-1.yaml:9:1: warning: ssh_port: is ignored, as in 2.6: set networking.ssh.port instead",
            "version-1.yaml:10:1: warning: ssh_allowed_networks: is ignored, as in 2.6: set networking.allowed_networks.ssh instead",
            "version-1.yaml:12:1: warning: api_allowed_networks: is ignored, as in 2.6: set networking.allowed_networks.api instead",
            "version-1.yaml:14:1: warning: private_network_subnet: is ignored, as in 2.6: set networking.private_network.subnet instead",
            "version-1.yaml:15:1: warning: disable_flannel: is ignored, as in 2.6: set networking.cni.enabled instead",
            "version-1.yaml:17:1: warning: enable_public_net_ipv4: is ignored, as in 2.6: set networking.public_network.ipv4 instead",
            "version-1.yaml:18:1: warning: enable_public_net_ipv6: is ignored, as in 2.6: set networking.public_network.ipv6 instead",
            "version-1.yaml:19:1: warning: cloud_controller_manager_manifest_url: is ignored, as in 2.6: set addons.cloud_controller_manager.manifest_url instead",
            "version-1.yaml:20:1: warning: csi_driver_manifest_url: is ignored, as in 2.6: set addons.csi_driver.manifest_url instead",
            "version-1.yaml:21:1: warning: system_upgrade_controller_manifest_url: is ignored, as in 2.6: set addons.system_upgrade_controller.deployment_manifest_url instead",
            "version-1.yaml:25:3: warning: masters_pool.location: is ignored, as in 2.6: set masters_pool.locations (a list) instead, or the masters go to fsn1, the default",
            "version-1.yaml:31:1: warning: enable_encryption: is ignored, as in 2.6: set networking.cni.encryption instead",
            "version-1.yaml:32:1: warning: existing_network: is ignored, as in 2.6: set networking.private_network.existing_network_name instead",
            "version-1.yaml:33:1: warning: verify_host_key: is ignored, as in 2.6: host keys are always verified",
        ]
    ),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_becomes_of_a_file_of_the_peer(name: str, environ: dict[str, str]) -> None:
    try:
        diagnostics = load(FOLDER / f"{name}.yaml", environ).warnings
    except ConfigError as error:
        diagnostics = error.diagnostics
    assert [str(found).removeprefix(f"{FOLDER}/") for found in diagnostics] == OUTCOMES[name]


def test_every_file_has_its_outcome() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(OUTCOMES)


def test_lists_of_arguments_are_quoted_into_commands(environ: dict[str, str]) -> None:
    pool = load(FOLDER / "resize-root-partition.yaml", environ).spec.pools[0]
    assert pool.boot.post_k3s_commands[2] == "parted -s /dev/sda mkpart primary ext4 50% 100%"
    assert pool.boot.pre_k3s_commands[1].startswith('echo "    post-up')
    assert not pool.boot.grow_root_partition
