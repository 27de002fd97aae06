"""What the k3s server on a simulated host answers on its own port, as a look at the host tells it."""

from __future__ import annotations

import base64
import ipaddress
import json
from collections.abc import Mapping
from typing import Any

from hetzner_k3s.lab.k3s.api.resources import NAMESPACES
from hetzner_k3s.lab.k3s.etcd.port import EtcdError
from hetzner_k3s.lab.k3s.trust import tokens
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.model.host import SupervisorFacts
from hetzner_k3s.model.operations.operation import K3sRole

_KUBE_SYSTEM = NAMESPACES.key("", "kube-system")


def supervisor_facts(host: Host) -> SupervisorFacts:
    """Ask the k3s server that runs here with the token that lies here."""
    on_database = host.disk.facts().config_database is not None
    if host.disk.token is None or host.disk.server_ca is None:
        return SupervisorFacts(complaint=_complaint(host)) if on_database else SupervisorFacts()
    server = host.server
    api = server is not None and server.serving and server.api_ready
    uid = uid_by_api(server) if server is not None and on_database and api else None
    complaint = "" if api and not (on_database and uid is None) else _complaint(host)
    if server is None or not server.listening:
        return SupervisorFacts(complaint=complaint)
    accepted = server.passwords.get("server", ("",))[0] == tokens.parse(host.disk.token).password
    answered = not accepted or server.serving
    as_agent = server.passwords.get("node", ("",))[0] == tokens.parse(host.disk.agent_token or "").password
    critical = _critical(server.description) if as_agent and server.serving else {}
    return SupervisorFacts(
        token_accepted=accepted if answered else None,
        critical=critical,
        api_answers=api,
        complaint=complaint,
        uid=uid,
    )


def uid_by_api(server: Server) -> str | None:
    """Read the kube-system UID as its API does, None while its store does not answer."""
    try:
        found = server.member().data.keys.get(_KUBE_SYSTEM)
    except EtcdError:
        return None
    return str(json.loads(found.value)["metadata"]["uid"]) if found else None


def _complaint(host: Host) -> str:
    lines = (line.text for line in reversed(host.journal) if line.role is K3sRole.SERVER)
    return next((text[:300] for text in lines if "level=error" in text or "level=fatal" in text), "")


_TEXTS = {
    "ClusterDomain": "cluster-domain",
    "FlannelBackend": "flannel-backend",
    "EgressSelectorMode": "egress-selector-mode",
}
_SWITCHES = {
    "DisableCCM": "disable-cloud-controller",
    "DisableHelmController": "disable-helm-controller",
    "DisableNPC": "disable-network-policy",
    "DisableServiceLB": "disable=servicelb",
    "EmbeddedRegistry": "embedded-registry",
    "EncryptSecrets": "secrets-encryption",
    "FlannelExternalIP": "flannel-external-ip",
    "SupervisorMetrics": "supervisor-metrics",
}


def _critical(description: Mapping[str, Any]) -> dict[str, str]:
    """Return a server's critical arguments in the product's words."""
    return {
        "cluster-cidr": ",".join(map(_cidr, description["ClusterIPRanges"])),
        "service-cidr": ",".join(map(_cidr, description["ServiceIPRanges"])),
        "cluster-dns": ",".join(description["ClusterDNSs"]),
        **{flag: str(description[name]) for name, flag in _TEXTS.items()},
        **{flag: str(description[name]).lower() for name, flag in _SWITCHES.items()},
    }


def _cidr(network: Mapping[str, str]) -> str:
    mask = ipaddress.IPv4Address(base64.b64decode(network["Mask"]))
    return str(ipaddress.ip_network(f"{network['IP']}/{mask}"))
