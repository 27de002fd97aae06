"""Which settings of 2.6 have an effect here already.

A setting without its effect is refused by name, never ignored (issue 4, point 2); a setting that has none in 2.6
either, given the rest of the file, is a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.config.checks.findings import Finding
from hetzner_k3s.config.schema.file import Configuration
from hetzner_k3s.config.schema.section import Section
from hetzner_k3s.model.text.settings import KeyPath

PROGRAM: Final = "hetzner-k3s-py"


@dataclass(frozen=True, slots=True)
class Limit:
    """A setting whose effect does not exist yet.

    `key` is its path, `[]` for every entry of a list; `values` the values refused (None: all but the default);
    `instead` says what works today.
    """

    key: str
    values: tuple[object, ...] | None
    instead: str
    unless: Callable[[Configuration], bool] = lambda _configuration: False

    def refuses(self, value: object, default: object) -> bool:
        """Check whether a value that stands in the file is refused."""
        return value != default if self.values is None else value in self.values


def _autoscaler_off(configuration: Configuration) -> bool:
    return not configuration.addons.cluster_autoscaler.enabled


def _upgrade_controller_off(configuration: Configuration) -> bool:
    return not configuration.addons.system_upgrade_controller.enabled


_PINNED: Final = "it installs a pinned release; remove the key"
_AUTOSCALER_KEYS: Final = (
    "manifest_url",
    "local_manifest_path",
    "container_image_tag",
    "scan_interval",
    "scale_down_delay_after_add",
    "scale_down_delay_after_delete",
    "scale_down_delay_after_failure",
    "max_node_provision_time",
)

NOT_YET: Final = (
    Limit("networking.cni.enabled", (False,), "flannel is always installed"),
    Limit("networking.cni.mode", ("cilium",), "use flannel"),
    Limit("networking.cni.cilium_egress_gateway", (True,), "use flannel"),
    Limit("networking.public_network.ipv4", (False,), "servers have a public IPv4 address"),
    Limit("networking.public_network.use_local_firewall", (True,), "Hetzner's firewall is used"),
    Limit("snapshot_os", ("microos",), "use an image or snapshot of Debian or Ubuntu"),
    Limit("masters_pool.legacy_instance_type", None, "servers under 1.x names are not taken over"),
    Limit("worker_node_pools[].legacy_instance_type", None, "servers under 1.x names are not taken over"),
    Limit("worker_node_pools[].autoscaling.enabled", (True,), "give the pool an instance_count"),
    Limit("worker_node_pools[].instance_type", ("external",), "workers are Hetzner Cloud servers"),
    Limit("worker_node_pools[].external", None, "workers are Hetzner Cloud servers"),
    Limit("addons.csi_driver.manifest_url", None, _PINNED),
    Limit("addons.cloud_controller_manager.manifest_url", None, _PINNED),
    Limit("addons.system_upgrade_controller.enabled", (True,), "leave it out or set it to false"),
    Limit("addons.system_upgrade_controller.deployment_manifest_url", None, _PINNED, _upgrade_controller_off),
    Limit("addons.system_upgrade_controller.crd_manifest_url", None, _PINNED, _upgrade_controller_off),
    Limit("addons.cluster_autoscaler.enabled", (True,), "leave it out or set it to false"),
    *(Limit(f"addons.cluster_autoscaler.{key}", None, "remove the key", _autoscaler_off) for key in _AUTOSCALER_KEYS),
)


@dataclass(frozen=True, slots=True)
class Idle:
    """A setting that has no effect in 2.6 either, `when` the rest of the file says so; `because` is shown."""

    key: str
    because: str
    when: Callable[[Configuration], bool] = lambda _configuration: True


_S3_KEYS: Final = ("endpoint", "region", "bucket", "access_key", "secret_key", "folder", "force_path_style")

IDLE: Final = (
    Idle("networking.cni.cilium", "the CNI is flannel", lambda c: c.networking.cni.mode == "flannel"),
    Idle(
        "networking.cni.flannel.disable_kube_proxy",
        "with flannel 2.6 only drops kube-proxy's arguments; kube-proxy itself keeps running",
        lambda c: c.networking.cni.flannel.disable_kube_proxy,
    ),
    *(
        Idle(
            f"networking.private_network.{key}",
            "private_network.enabled is false",
            lambda c: not c.networking.private_network.enabled,
        )
        for key in ("subnet", "existing_network_name")
    ),
    Idle(
        "networking.public_network.hetzner_ips_query_server_url",
        "only the local firewall asks it",
        lambda c: not c.networking.public_network.use_local_firewall,
    ),
    Idle("datastore.external_datastore_endpoint", "the mode is etcd", lambda c: c.datastore.mode == "etcd"),
    Idle(
        "datastore.etcd",
        "the mode is external, and snapshots are etcd's",
        lambda c: c.datastore.mode == "external",
    ),
    *(
        Idle(f"datastore.etcd.s3_{key}", "s3_enabled is false", lambda c: not c.datastore.etcd.s3_enabled)
        for key in _S3_KEYS
    ),
    Idle("autoscaling_image", "no pool is autoscaled"),
    Idle("cluster_autoscaler_args", "no pool is autoscaled"),
    Idle("worker_node_pools[].include_cluster_name_as_prefix", "it names autoscaled nodes only"),
    Idle("masters_pool.autoscaling", "masters are not autoscaled"),
    Idle("masters_pool.include_cluster_name_as_prefix", "it names autoscaled nodes only"),
    Idle(
        "create_load_balancer_for_the_kubernetes_api",
        "there is one master",
        lambda c: c.create_load_balancer_for_the_kubernetes_api and c.masters_pool.instance_count == 1,
    ),
    *(Idle(f"addons.cluster_autoscaler.{key}", "the autoscaler is off", _autoscaler_off) for key in _AUTOSCALER_KEYS),
    Idle("addons.system_upgrade_controller.deployment_manifest_url", "it is off", _upgrade_controller_off),
    Idle("addons.system_upgrade_controller.crd_manifest_url", "it is off", _upgrade_controller_off),
)


def not_yet(key: str) -> str:
    """Return what the reference says of a key's values that are refused: a sentence with a blank before it, or none."""
    return "".join(f" **Not yet**{_values(limit.values)}: {limit.instead}." for limit in NOT_YET if limit.key == key)


def _values(values: tuple[object, ...] | None) -> str:
    return "" if values is None else " " + ", ".join(f"`{str(value).lower()}`" for value in values)


def refusals(configuration: Configuration) -> Iterator[Finding]:
    """Refuse every setting whose effect does not exist yet."""
    for limit in NOT_YET:
        for key, value, default in _given(configuration, limit.key):
            if limit.refuses(value, default) and not limit.unless(configuration):
                yield Finding(key, f"is not supported yet by {PROGRAM}: {limit.instead}")


def idle_settings(configuration: Configuration) -> Iterator[Finding]:
    """Warn of every setting that has no effect in this file."""
    for idle in IDLE:
        for key, value, default in _given(configuration, idle.key):
            if value != default and idle.when(configuration):
                yield Finding(key, f"has no effect: {idle.because}", "warning", of_key=True)


def defaults_without_effect(configuration: Configuration) -> tuple[str, ...]:
    """Return which defaults of 2.6 do nothing here yet, one sentence each, for the plan."""
    sentences = []
    addons = configuration.addons
    on = {
        "system_upgrade_controller": addons.system_upgrade_controller.enabled,
        "cluster_autoscaler": addons.cluster_autoscaler.enabled,
    }
    if named := [f"addons.{name}" for name, enabled in on.items() if enabled]:
        sentences.append(
            f"on by default in 2.6 and not supported yet by {PROGRAM}: {', '.join(named)}; "
            "`enabled: false` in each silences this note"
        )
    if configuration.k3s_upgrade_concurrency != 1:
        sentences.append(f"k3s_upgrade_concurrency is read by `upgrade`, which is not supported yet by {PROGRAM}")
    return tuple(sentences)


def _given(configuration: Configuration, dotted_key: str) -> Iterator[tuple[KeyPath, object, object]]:
    """Give path, value and default of a setting, wherever it stands in the file."""
    *parents, last = dotted_key.replace("[]", ".[]").split(".")
    for path, section in _sections(configuration, parents, ()):
        if isinstance(section, Section) and last in section.model_fields_set:
            default = type(section).model_fields[last].get_default(call_default_factory=True)
            yield (*path, last), getattr(section, last), default


def _sections(value: object, parents: list[str], path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    if not parents:
        yield path, value
    elif parents[0] == "[]" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _sections(item, parents[1:], (*path, index))
    elif isinstance(value, Section) and (child := getattr(value, parents[0], None)) is not None:
        yield from _sections(child, parents[1:], (*path, parents[0]))
