"""Reads what `scripts/facts.sh` printed of the k3s server's own answers."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Final

from hetzner_k3s.model.critical import SERVICELB
from hetzner_k3s.model.host import SupervisorFacts

_ACCEPTED: Final = {"200": True, "401": False, "403": False}
_API_SERVES: Final = frozenset({"200", "401", "403"})
"""Without a client certificate a serving API answers 401 (K3S_RUN_FACTS.md); before, and when it is down, 503."""


def supervisor_facts(document: Mapping[str, Any] | None) -> SupervisorFacts:
    """Build the facts; None: this host runs no k3s server that has its TLS files."""
    if document is None:
        return SupervisorFacts()
    return SupervisorFacts(
        token_accepted=_ACCEPTED.get(document["config_status"]),
        critical=_critical(document["config"]),
        api_answers=document["api_status"] in _API_SERVES,
        complaint=document["complaint"] or "",
        uid=document.get("uid"),
    )


def _critical(config: Mapping[str, Any]) -> dict[str, str]:
    return {flag: read(config[name]) for name, (flag, read) in _FLAGS.items() if name in config}


def _switch(value: object) -> str:
    return "true" if value else "false"


def _networks(values: list[Mapping[str, str]]) -> str:
    return ",".join(_network(value) for value in values)


def _network(value: Mapping[str, str]) -> str:
    """Read Go's form of a network: address, and the mask's bytes in base64."""
    mask = base64.b64decode(value["Mask"])
    return str(ipaddress.ip_network((value["IP"], int.from_bytes(mask).bit_count()), strict=False))


_FLAGS: Final[Mapping[str, tuple[str, Callable[[Any], str]]]] = {
    "ClusterIPRanges": ("cluster-cidr", _networks),
    "ServiceIPRanges": ("service-cidr", _networks),
    "ClusterDNSs": ("cluster-dns", ",".join),
    "ClusterDomain": ("cluster-domain", str),
    "FlannelBackend": ("flannel-backend", str),
    "EgressSelectorMode": ("egress-selector-mode", str),
    "DisableCCM": ("disable-cloud-controller", _switch),
    "DisableHelmController": ("disable-helm-controller", _switch),
    "DisableNPC": ("disable-network-policy", _switch),
    "DisableServiceLB": (SERVICELB, _switch),
    "EmbeddedRegistry": ("embedded-registry", _switch),
    "EncryptSecrets": ("secrets-encryption", _switch),
    "FlannelExternalIP": ("flannel-external-ip", _switch),
    "SupervisorMetrics": ("supervisor-metrics", _switch),
}
"""The fields of `/v1-k3s/config` (fixture http/local_node_v1-k3s_config.txt) that the file, or a hand, can change."""
