"""Reads what `scripts/facts.sh` printed of the k3s server's own answers."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Callable, Mapping
from typing import Final

from hetzner_k3s.model.host import SupervisorFacts
from hetzner_k3s.model.hosts.critical_config import SERVICELB
from hetzner_k3s.model.text.documents import Document, Malformed

_ACCEPTED: Final = {"200": True, "401": False, "403": False}
_API_SERVES: Final = frozenset({"200", "401", "403"})
"""Without a client certificate a serving API answers 401, one that is down 503 (docs/facts/k3s.md#endpoints)."""


def supervisor_facts(document: Document | None) -> SupervisorFacts:
    """Return the facts; None: this host runs no k3s server that has its TLS files."""
    if document is None:
        return SupervisorFacts()
    return SupervisorFacts(
        token_accepted=_ACCEPTED.get(document.text("token_status")),
        critical=_critical(document.child("config")),
        api_answers=document.text("api_status") in _API_SERVES,
        complaint=document.text_or("complaint"),
        uid=document.optional_text("uid"),
    )


def _critical(config: Document) -> dict[str, str]:
    return {flag: read(config, name) for name, (flag, read) in _FLAGS.items() if name in config.fields}


def _switch(config: Document, name: str) -> str:
    return "true" if config.flag(name) else "false"


def _list(config: Document, name: str) -> str:
    return ",".join(config.texts(name))


def _networks(config: Document, name: str) -> str:
    return ",".join(map(_network, config.children_or_none(name)))


def _network(value: Document) -> str:
    """Read Go's form of a network: address, and the mask's bytes in base64."""
    try:
        mask = base64.b64decode(value.raw_text("Mask"), validate=True)
        return str(ipaddress.ip_network((value.text("IP"), int.from_bytes(mask).bit_count()), strict=False))
    except ValueError:
        raise Malformed(f"{value.path} is no network") from None


_FLAGS: Final[Mapping[str, tuple[str, Callable[[Document, str], str]]]] = {
    "ClusterIPRanges": ("cluster-cidr", _networks),
    "ServiceIPRanges": ("service-cidr", _networks),
    "ClusterDNSs": ("cluster-dns", _list),
    "ClusterDomain": ("cluster-domain", Document.text),
    "FlannelBackend": ("flannel-backend", Document.text),
    "EgressSelectorMode": ("egress-selector-mode", Document.text),
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
