"""Every key of the file: how it is compared with a living cluster, and what would end a difference.

See docs/architecture.md#law-11.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.difference import Remedy
from hetzner_k3s.model.hosts import first_boot


@dataclass(frozen=True, slots=True)
class Comparison:
    """How a key is compared.

    Attributes:
        remedy: what would end a difference; None where the key is not compared.
        how: what it is held against, or why it is held against nothing.
    """

    remedy: Remedy | None
    how: str


_POOLS: Final = ("masters_pool", "worker_node_pools[]")
_COMPONENTS: Final = ("api_server", "scheduler", "controller_manager", "cloud_controller_manager")
_RULE: Final = "networking.allowed_networks.custom_firewall_rules[]"
_NOT_YET: Final = "refused in the file until it has an effect"


def _in_pools(*names: str) -> tuple[str, ...]:
    return tuple(f"{pool}.{name}" for pool in _POOLS for name in names)


def _below(section: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{section}.{name}" for name in names)


def _rows() -> Iterator[tuple[Remedy | None, str, Iterable[str]]]:
    yield Remedy.RESIZE, "the type of each server", _in_pools("instance_type")
    yield Remedy.REPLACE, "the location of each server", ("masters_pool.locations", "worker_node_pools[].location")
    yield Remedy.REPLACE, "the image of each server, unless it was deleted", ("image", *_in_pools("image"))
    yield Remedy.REPLACE, "the public addresses of each server", _below("networking.public_network", "ipv4", "ipv6")
    yield Remedy.REPLACE, "a label that each server was made with", (*first_boot.FIELDS, *_in_pools(*first_boot.FIELDS))
    yield Remedy.UPGRADE, "what runs on each host", ("k3s_version",)
    yield from _rows_of_hosts()
    yield from _rows_of_the_cluster()
    yield from _rows_of_the_surroundings()
    yield from _rows_of_this_machine()
    yield from _rows_without_effect()


def _rows_of_hosts() -> Iterator[tuple[Remedy | None, str, Iterable[str]]]:
    yield Remedy.RESTART, "`config.yaml` of each master", (f"kube_{name}_args" for name in _COMPONENTS)
    proxy = ("kube_proxy_args", "networking.cni.flannel.disable_kube_proxy")
    yield Remedy.RESTART, "`config.yaml` of each master", proxy
    yield Remedy.RESTART, "`config.yaml` of each host", ("kubelet_args", *_in_pools("kubelet_args"))
    names = ("api_server_hostname", "create_load_balancer_for_the_kubernetes_api")
    how = "the names in each master's certificate; what the load balancer lacks is added"
    yield Remedy.RESTART, how, names
    snapshots = _below("datastore.etcd", "snapshot_retention", "snapshot_schedule_cron")
    yield Remedy.RESTART, "`config.yaml` of each master", snapshots
    keys = ("enabled", "endpoint", "region", "bucket", "access_key", "secret_key", "folder", "force_path_style")
    yield Remedy.RESTART, "digits of the S3 settings on each master", (f"datastore.etcd.s3_{key}" for key in keys)
    packaged = ("traefik.enabled", "metrics_server.enabled", "local_path_storage_class.enabled")
    yield Remedy.RESTART, "`config.yaml` of each master", _below("addons", *packaged)
    yield Remedy.APPLY, "the taints of each master's Node", ("schedule_workloads_on_masters",)
    marks = _in_pools("labels[].key", "labels[].value", "taints[].key", "taints[].value")
    yield Remedy.APPLY, "the labels and taints of each Node", marks
    registries = "addons.embedded_registry_mirror.private_registry_config"
    yield Remedy.RESTART, "digits of `registries.yaml` on each host", (registries,)


def _rows_of_the_cluster() -> Iterator[tuple[Remedy | None, str, Iterable[str]]]:
    critical = ("cluster_cidr", "service_cidr", "cluster_dns", "cluster_domain", "cni.encryption")
    yield Remedy.FIXED, "what the masters run with", _below("networking", *critical)
    yield (
        Remedy.FIXED,
        "what the masters run with",
        ("addons.servicelb.enabled", "addons.embedded_registry_mirror.enabled"),
    )
    yield Remedy.FIXED, "the range of the network", ("networking.private_network.subnet",)
    yield Remedy.FIXED, "at which addresses the nodes meet", ("networking.private_network.enabled",)
    yield Remedy.FIXED, "the project's networks", ("networking.private_network.existing_network_name",)
    yield Remedy.FIXED, "where the masters keep their data", _below("datastore", "mode", "external_datastore_endpoint")
    yield Remedy.FIXED, "the names of the masters", ("include_instance_type_in_instance_name",)


def _rows_of_the_surroundings() -> Iterator[tuple[Remedy | None, str, Iterable[str]]]:
    yield Remedy.APPLY, f"the servers there are; those beyond the file with `{Prune()}`", _in_pools("instance_count")
    yield Remedy.APPLY, f"the servers there are; those beyond the file with `{Prune()}`", ("worker_node_pools[].name",)
    rules = ("networking.node_port_firewall_enabled", "networking.node_port_range", "networking.ssh.port")
    allowed = _below("networking.allowed_networks", "ssh", "api")
    custom = _below(_RULE, "protocol", "direction", "port", "source_ips", "destination_ips")
    yield Remedy.APPLY, "the rules of the firewall, and whom it is on", (*rules, *allowed, *custom)
    addons = _below("addons", "csi_driver.enabled", "cloud_controller_manager.enabled", "cert_manager.enabled")
    yield Remedy.APPLY, f"the charts in the cluster; those that are switched off go with `{Prune()}`", addons
    yield Remedy.APPLY, "the Secret that the addons read", ("hetzner_token",)


def _rows_of_this_machine() -> Iterator[tuple[Remedy | None, str, Iterable[str]]]:
    yield Remedy.APPLY, "the kubeconfig on this machine", ("kubeconfig_path", "networking.ssh.use_private_ip")
    yield Remedy.FIXED, "the project's SSH keys", ("networking.ssh.public_key_path",)
    yield None, "how this machine logs in", _below("networking.ssh", "use_agent", "private_key_path")
    yield None, "another name is another cluster", ("cluster_name",)
    asked = ("protect_against_deletion", "k3s_upgrade_concurrency", "config_format_version")
    yield None, "what commands do, not what exists", asked
    yield None, "a word for readers", ("masters_pool.name", f"{_RULE}.description")
    made = ("networking.ssh.existing_ssh_key_name",)
    yield None, "given to a server when it is made, and not looked at afterwards", made


def _rows_without_effect() -> Iterator[tuple[Remedy | None, str, Iterable[str]]]:
    external = (
        "host",
        "ssh_user",
        "ssh_port",
        "ssh_private_key_path",
        "manage_hostname",
        "index",
        "robot_server_number",
    )
    machines = ("provider", "robot_user", "robot_password", *(f"nodes[].{name}" for name in external))
    scaling = _below("autoscaling", "enabled", "min_instances", "max_instances")
    yield None, _NOT_YET, _in_pools("legacy_instance_type", *scaling, *_below("external", *machines))
    yield None, _NOT_YET, _in_pools("include_cluster_name_as_prefix")
    yield None, _NOT_YET, ("cluster_autoscaler_args", "autoscaling_image", "snapshot_os")
    yield None, _NOT_YET, _below("networking.cni", "enabled", "mode", "cilium_egress_gateway")
    hubble = ("hubble_enabled", "hubble_metrics", "hubble_relay_enabled", "hubble_ui_enabled")
    chart = ("chart_version", "helm_values_path", "encryption_type", "routing_mode", "tunnel_protocol", *hubble)
    sizes = ("k8s_service_host", "k8s_service_port", "operator_replicas", "operator_memory_request")
    yield None, _NOT_YET, _below("networking.cni.cilium", *chart, *sizes, "agent_memory_request")
    yield None, _NOT_YET, _below("networking.public_network", "hetzner_ips_query_server_url", "use_local_firewall")
    yield None, _NOT_YET, _below("addons", "csi_driver.manifest_url", "cloud_controller_manager.manifest_url")
    upgrades = ("enabled", "deployment_manifest_url", "crd_manifest_url")
    yield None, _NOT_YET, _below("addons.system_upgrade_controller", *upgrades)
    delays = (f"scale_down_delay_after_{what}" for what in ("add", "delete", "failure"))
    autoscaler = ("enabled", "manifest_url", "local_manifest_path", "container_image_tag", "scan_interval", *delays)
    yield None, _NOT_YET, _below("addons.cluster_autoscaler", *autoscaler, "max_node_provision_time")


KEYS: Final[Mapping[str, Comparison]] = MappingProxyType(
    {key: Comparison(remedy, how) for remedy, how, keys in _rows() for key in keys}
)
"""By the path of the key, `[]` for any entry of a list. A test holds it against the schema: no key is missing."""
