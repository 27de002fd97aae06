"""The configuration all servers must share: what `/v1-k3s/config` shows and how a joiner compares it. Pure."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from typing import Any

from hetzner_k3s.lab.k3s.setup.flags import Flags

Json = dict[str, Any]

# Field of the answer -> flag that a mismatch is reported by.
_FLAG_OF = {
    "ClusterDNS": "cluster-dns",
    "ClusterDomain": "cluster-domain",
    "DisableCCM": "disable-cloud-controller",
    "DisableHelmController": "disable-helm-controller",
    "DisableNPC": "disable-network-policy",
    "DisableServiceLB": "disable-service-lb",
    "EncryptSecrets": "secrets-encryption",
    "EncryptProvider": "secrets-encryption-provider",
    "EmbeddedRegistry": "embedded-registry",
    "FlannelBackend": "flannel-backend",
    "FlannelIPv6Masq": "flannel-ipv6-masq",
    "FlannelExternalIP": "flannel-external-ip",
    "EgressSelectorMode": "egress-selector-mode",
    "SupervisorMetrics": "supervisor-metrics",
}
_NETWORKS = ("ClusterIPRanges", "ClusterIPRange", "ServiceIPRange", "ServiceIPRanges")

MISMATCH = "critical configuration value mismatch between servers"


def _network(text: str) -> Json:
    network = ipaddress.ip_network(text, strict=False)
    return {"IP": str(network.network_address), "Mask": base64.b64encode(network.netmask.packed).decode()}


def _default_dns(service_network: str) -> str:
    return str(ipaddress.ip_network(service_network, strict=False).network_address + 10)


def describe(flags: Flags, node_name: str, node_ip: str, psk: str = "") -> Json:
    """Return this server's answer at `/v1-k3s/config` (fixture http/local_node_v1-k3s_config.txt)."""
    return _critical(flags) | _others(flags, node_name, node_ip, psk)


def _critical(flags: Flags) -> Json:
    pods = flags.many("cluster-cidr") or ("10.42.0.0/16",)
    services = flags.many("service-cidr") or ("10.43.0.0/16",)
    dns = flags.many("cluster-dns") or (_default_dns(services[0]),)
    return {
        "ClusterDNSs": list(dns),
        "ClusterIPRanges": [_network(text) for text in pods],
        "ClusterDNS": dns[0],
        "ClusterDomain": flags.text("cluster-domain", "cluster.local"),
        "ClusterIPRange": _network(pods[0]),
        "DisableCCM": flags.on("disable-cloud-controller"),
        "DisableHelmController": flags.on("disable-helm-controller"),
        "DisableNPC": flags.on("disable-network-policy"),
        "EncryptSecrets": flags.on("secrets-encryption"),
        "EncryptProvider": flags.text("secrets-encryption-provider", "aescbc"),
        "EmbeddedRegistry": flags.on("embedded-registry"),
        "FlannelBackend": flags.text("flannel-backend", "vxlan"),
        "FlannelIPv6Masq": flags.on("flannel-ipv6-masq"),
        "FlannelExternalIP": flags.on("flannel-external-ip"),
        "EgressSelectorMode": flags.text("egress-selector-mode", "agent"),
        "ServiceIPRange": _network(services[0]),
        "ServiceIPRanges": [_network(text) for text in services],
        "SupervisorMetrics": flags.on("supervisor-metrics"),
        "DisableServiceLB": "servicelb" in flags.many("disable"),
    }


def _disabled(flags: Flags) -> list[str]:
    return sorted({*flags.many("disable"), *(["ccm"] if flags.on("disable-cloud-controller") else [])})


def _others(flags: Flags, node_name: str, node_ip: str, psk: str) -> Json:
    disabled = dict.fromkeys(_disabled(flags), True)
    outside = flags.many("node-external-ip")
    names = [*flags.many("tls-san"), "127.0.0.1", "::1", "localhost", node_name, *outside, node_ip]
    return {
        "AdvertisePort": 6443,
        "AdvertiseIP": flags.text("advertise-address", node_ip),
        "HTTPSPort": 6443,
        "SupervisorPort": 6443,
        "APIServerPort": 6444,
        "APIServerBindAddress": "",
        "ServiceNodePortRange": {"Base": 30000, "Size": 2768},
        "KubeConfigMode": flags.text("write-kubeconfig-mode"),
        "KubeConfigName": flags.text("write-kubeconfig-name", "default"),
        "DataDir": flags.text("data-dir", "/var/lib/rancher/k3s") + "/server",
        "Disables": disabled,
        "Skips": disabled,
        "DisableAgent": False,
        "DisableAPIServer": False,
        "DisableControllerManager": False,
        "DisableETCD": False,
        "DisableKubeProxy": flags.on("disable-kube-proxy"),
        "DisableScheduler": flags.on("disable-scheduler"),
        "JoinURL": flags.text("server"),
        "IPSECPSK": psk,
        "ClusterInit": flags.on("cluster-init"),
        "ClusterReset": flags.on("cluster-reset"),
        "ClusterResetRestorePath": flags.text("cluster-reset-restore-path"),
        "ServerNodeName": node_name,
        "BindAddress": flags.text("bind-address"),
        "SANs": names,
        "SANSecurity": True,
        "PrivateIP": node_ip,
    }


def mismatches(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Name what differs between two servers, as k3s prints it (one warning line each, fixture runs/11.log).

    A field that the other server does not know is not compared.
    """
    found: list[str] = []
    for field, value in mine.items():
        if field not in theirs or value == theirs[field]:
            continue
        if field in _NETWORKS:
            found += _network_mismatches(field, value, theirs[field])
        elif field in _FLAG_OF:
            found.append(_FLAG_OF[field])
    return found


def _network_mismatches(field: str, mine: Any, theirs: Any) -> list[str]:
    if isinstance(mine, list):
        pairs = [(f"{field}.slice[{i}]", a, b) for i, (a, b) in enumerate(zip(mine, theirs, strict=False))]
    else:
        pairs = [(field, mine, theirs)]
    return [f"{name}.{part}" for name, a, b in pairs for part in _differing_bytes(a, b)]


def _differing_bytes(mine: Json, theirs: Json) -> list[str]:
    # Go holds an IPv4 address in the last four of sixteen bytes; its mask has four.
    ours, others = ipaddress.ip_address(mine["IP"]).packed, ipaddress.ip_address(theirs["IP"]).packed
    shift = 12 if len(ours) == 4 else 0
    parts = [f"IP.slice[{i + shift}]" for i, (a, b) in enumerate(zip(ours, others, strict=False)) if a != b]
    masks = base64.b64decode(mine["Mask"]), base64.b64decode(theirs["Mask"])
    return parts + [f"Mask.slice[{i}]" for i, (a, b) in enumerate(zip(*masks, strict=False)) if a != b]
