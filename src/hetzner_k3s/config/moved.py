"""Keys that 1.x, an early 2.x or a newer release reads and 2.6 does not: where their setting lives now.

2.6 ignores them without a word (its docs still show some), which is dangerous: `ssh_allowed_networks` in a file means
that somebody believes SSH to be closed. Taken from the history of the Crystal tool's configuration classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from hetzner_k3s.config.checks.findings import Finding
from hetzner_k3s.config.source import Tree
from hetzner_k3s.model.text.settings import KeyPath

MOVED: Final[dict[str, str]] = {
    "public_ssh_key_path": "networking.ssh.public_key_path",
    "private_ssh_key_path": "networking.ssh.private_key_path",
    "use_ssh_agent": "networking.ssh.use_agent",
    "ssh_port": "networking.ssh.port",
    "ssh_allowed_networks": "networking.allowed_networks.ssh",
    "api_allowed_networks": "networking.allowed_networks.api",
    "enable_encryption": "networking.cni.encryption",
    "disable_flannel": "networking.cni.enabled",
    "existing_network": "networking.private_network.existing_network_name",
    "private_network_subnet": "networking.private_network.subnet",
    "enable_public_net_ipv4": "networking.public_network.ipv4",
    "enable_public_net_ipv6": "networking.public_network.ipv6",
    "cluster_cidr": "networking.cluster_cidr",
    "service_cidr": "networking.service_cidr",
    "cluster_dns": "networking.cluster_dns",
    "cluster_domain": "networking.cluster_domain",
    "post_create_commands": "additional_post_k3s_commands",
    "cloud_controller_manager_manifest_url": "addons.cloud_controller_manager.manifest_url",
    "csi_driver_manifest_url": "addons.csi_driver.manifest_url",
    "cluster_autoscaler_manifest_url": "addons.cluster_autoscaler.manifest_url",
    "system_upgrade_controller_manifest_url": "addons.system_upgrade_controller.deployment_manifest_url",
    "system_upgrade_controller_deployment_manifest_url": "addons.system_upgrade_controller.deployment_manifest_url",
    "system_upgrade_controller_crd_manifest_url": "addons.system_upgrade_controller.crd_manifest_url",
    "embedded_registry_mirror": "addons.embedded_registry_mirror",
    "local_path_storage_class": "addons.local_path_storage_class",
    "cluster_autoscaler": "addons.cluster_autoscaler",
    "traefik": "addons.traefik",
    "servicelb": "addons.servicelb",
    "metrics_server": "addons.metrics_server",
    "csi_driver": "addons.csi_driver",
    "manifests.cloud_controller_manager_manifest_url": "addons.cloud_controller_manager.manifest_url",
    "manifests.csi_driver_manifest_url": "addons.csi_driver.manifest_url",
    "manifests.system_upgrade_controller_deployment_manifest_url": (
        "addons.system_upgrade_controller.deployment_manifest_url"
    ),
    "manifests.system_upgrade_controller_crd_manifest_url": "addons.system_upgrade_controller.crd_manifest_url",
    "manifests.cluster_autoscaler_manifest_url": "addons.cluster_autoscaler.manifest_url",
    "manifests.cluster_autoscaler_container_image_tag": "addons.cluster_autoscaler.container_image_tag",
    "masters_pool.location": "masters_pool.locations (a list)",
    "masters_pool.post_create_commands": "masters_pool.additional_post_k3s_commands",
    "worker_node_pools[].post_create_commands": "worker_node_pools[].additional_post_k3s_commands",
}
"""Old key -> new key; `[]` stands for every entry of a list."""

GONE: Final[dict[str, str]] = {
    "verify_host_key": "host keys are always verified",
    "system_upgrade_controller_config_manifest_url": "the upgrade controller needs no such manifest any more",
    "manifests": "its settings live under `addons` now",
}
"""Keys whose setting does not exist any more, and why."""

NEWER: Final = ("networking.tailscale", "addons.gvisor")
"""Keys of releases after 2.6."""


def is_known(path: KeyPath) -> bool:
    """Check whether a key is one of these, wherever its list has it."""
    dotted = ".".join(str(part) for part in path if isinstance(part, str))
    old = (*MOVED, *GONE, *NEWER)
    return any(key.replace("[]", "") == dotted for key in old)


def take_out(root: Tree) -> list[Finding]:
    """Remove the old keys from the tree and say of each where it went (warnings), or that it is too new (errors)."""
    also = {"masters_pool.location": _without_locations(root)}
    found = [
        *(
            _warn(key, f"is ignored, as in 2.6: set {new} instead{also.get(old, '')}")
            for old, new in MOVED.items()
            for key in _pop(root, old)
        ),
        *(_warn(key, f"is ignored, as in 2.6: {why}") for old, why in GONE.items() for key in _pop(root, old)),
    ]
    for new in NEWER:
        found += [Finding(key, "is not supported yet by hetzner-k3s-py", of_key=True) for key in _pop(root, new)]
    return found


def _without_locations(root: Tree) -> str:
    """Return where the masters go all the same.

    One of three files has the singular, and the server stands elsewhere.
    """
    masters = root.get("masters_pool")
    if not isinstance(masters, dict) or "location" not in masters or "locations" in masters:
        return ""
    return ", or the masters go to fsn1, the default"


def _warn(key: KeyPath, message: str) -> Finding:
    return Finding(key, message, "warning", of_key=True)


def _pop(root: Tree, dotted_key: str) -> Iterator[KeyPath]:
    """Remove a key wherever it stands; give the paths where it stood."""
    *parents, last = dotted_key.replace("[]", ".[]").split(".")
    for path, tree in list(_parents(root, parents, ())):
        if isinstance(tree, dict) and last in tree:
            del tree[last]
            yield (*path, last)


def _parents(tree: object, parents: list[str], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if not parents:
        yield path, tree
    elif parents[0] == "[]" and isinstance(tree, list):
        for index, item in enumerate(tree):
            yield from _parents(item, parents[1:], (*path, index))
    elif isinstance(tree, dict) and parents[0] in tree:
        yield from _parents(tree[parents[0]], parents[1:], (*path, parents[0]))
