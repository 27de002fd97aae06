"""The arguments on which all masters must agree: what the file asks for, in k3s' words, and what can be compared.

k3s refuses to let a server join whose critical arguments differ from the others' ("critical configuration value
mismatch between servers"), and none of them can change in a cluster's life (docs/facts/k3s.md#critical-arguments).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final

from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.version import K3sVersion

SERVICELB: Final = "disable=servicelb"
_WIREGUARD_NATIVE_SINCE: Final = K3sVersion.parse("v1.23.6+k3s1")

_DEFAULTS: Final = {
    "cluster-domain": "cluster.local",
    "flannel-backend": "vxlan",
    "disable-cloud-controller": "false",
    "embedded-registry": "false",
    "disable-network-policy": "false",
    "disable-helm-controller": "false",
    "egress-selector-mode": "agent",
    "flannel-external-ip": "false",
    "secrets-encryption": "false",
    "supervisor-metrics": "false",
}
"""What k3s takes for those that the file does not lead to (fixture http/local_node_v1-k3s_config.txt)."""

_UNGOVERNED: Final = frozenset(
    {
        *("disable-network-policy", "disable-helm-controller", "egress-selector-mode", "flannel-external-ip"),
        *("secrets-encryption", "supervisor-metrics"),
    }
)
"""Those that no key of the file leads to: a drop-in or a hand wrote them on the masters that run."""

Arguments = Mapping[str, str]
"""Critical arguments as flag -> value; lists are joined by commas, and a switch is `true` or `false`."""


def critical_config(spec: ClusterSpec) -> dict[str, str | bool | list[str]]:
    """Return the critical part of a master's `config.yaml`, key by key."""
    network = spec.kubernetes_network
    config: dict[str, str | bool | list[str]] = {
        "cluster-cidr": network.cluster_cidr,
        "service-cidr": network.service_cidr,
        "cluster-dns": network.cluster_dns,
    }
    if network.cluster_domain:
        config["cluster-domain"] = network.cluster_domain
    if network.encryption:
        config["flannel-backend"] = _encrypted_backend(spec.k3s_version)
    config["disable-cloud-controller"] = True
    if disabled := _disabled(spec):
        config["disable"] = disabled
    if spec.addons.embedded_registry_mirror:
        config["embedded-registry"] = True
    return config


def _encrypted_backend(version: K3sVersion) -> str:
    return "wireguard-native" if version >= _WIREGUARD_NATIVE_SINCE else "wireguard"


def _disabled(spec: ClusterSpec) -> list[str]:
    addons = spec.addons
    packaged = {
        "traefik": addons.traefik,
        "servicelb": addons.servicelb,
        "metrics-server": addons.metrics_server,
        "local-storage": addons.local_path_storage_class,
    }
    return [name for name, wanted in packaged.items() if not wanted]


def wanted_arguments(spec: ClusterSpec) -> dict[str, str]:
    """Return the critical arguments that a master made from the file would run with."""
    config = critical_config(spec)
    disabled = config.pop("disable", [])
    given = {flag: _text(flag, value) for flag, value in config.items()}
    return {**_DEFAULTS, **given, SERVICELB: _text(SERVICELB, "servicelb" in str(disabled))}


def governed(arguments: Arguments) -> dict[str, str]:
    """Return the arguments that the file decides."""
    return {flag: value for flag, value in arguments.items() if flag not in _UNGOVERNED}


def carried(live: Arguments) -> dict[str, str | bool]:
    """Return what a joining master is given as the running ones have it, since no key of the file says it."""
    other = {flag: live[flag] for flag in sorted(_UNGOVERNED & live.keys()) if live[flag] != _DEFAULTS[flag]}
    return {flag: value == "true" if value in {"true", "false"} else value for flag, value in other.items()}


def _text(flag: str, value: str | bool | list[str]) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    words = value.split(",") if isinstance(value, str) else value
    return ",".join(_network(word.strip()) if flag.endswith("-cidr") else word.strip() for word in words)


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text, strict=False))
