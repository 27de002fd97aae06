"""k3s' configuration: command line over environment over `config.yaml`, by the names of `k3s server --help`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hetzner_k3s.lab.k3s.setup import paths
from hetzner_k3s.lab.k3s.setup.vocabulary import words

_AGENT_FLAGS = words(
    """
    node-name with-node-id node-label node-taint image-credential-provider-bin-dir
    image-credential-provider-config docker container-runtime-endpoint default-runtime image-service-endpoint
    disable-default-registry-endpoint nonroot-devices pause-image snapshotter private-registry
    system-default-registry node-ip node-external-ip node-internal-dns node-external-dns resolv-conf flannel-iface
    flannel-conf flannel-cni-conf vpn-auth vpn-auth-file kubelet-arg kube-proxy-arg protect-kernel-defaults
    selinux lb-server-port config debug vmodule log alsologtostderr data-dir token token-file server enable-pprof
    rootless prefer-bundled-bin v
    """
)
_SERVER_FLAGS = _AGENT_FLAGS | words(
    """
    bind-address https-listen-port advertise-address advertise-port tls-san tls-san-security cluster-cidr
    service-cidr service-node-port-range cluster-dns cluster-domain flannel-backend flannel-ipv6-masq
    flannel-external-ip egress-selector-mode servicelb-namespace write-kubeconfig write-kubeconfig-mode
    write-kubeconfig-group write-kubeconfig-name helm-job-image agent-token agent-token-file cluster-init
    cluster-reset cluster-reset-restore-path kube-apiserver-arg etcd-arg kube-controller-manager-arg
    kube-scheduler-arg helm-controller-arg kube-cloud-controller-manager-arg datastore-endpoint datastore-cafile
    datastore-certfile datastore-keyfile etcd-expose-metrics etcd-disable-snapshots etcd-snapshot-name
    etcd-snapshot-schedule-cron etcd-snapshot-reconcile-interval etcd-snapshot-retention etcd-snapshot-dir
    etcd-snapshot-compress etcd-s3 etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-skip-ssl-verify etcd-s3-access-key
    etcd-s3-secret-key etcd-s3-session-token etcd-s3-bucket etcd-s3-bucket-lookup-type etcd-s3-region
    etcd-s3-folder etcd-s3-retention etcd-s3-proxy etcd-s3-config-secret etcd-s3-insecure etcd-s3-timeout
    default-local-storage-path disable disable-scheduler disable-cloud-controller disable-kube-proxy
    disable-network-policy disable-helm-controller embedded-registry supervisor-metrics secrets-encryption
    secrets-encryption-provider disable-agent
    """
)
_SNAPSHOT_FLAGS = words(
    """
    config debug log data-dir node-name etcd-token etcd-server name dir snapshot-compress snapshot-retention s3
    s3-endpoint s3-bucket s3-region s3-folder s3-insecure s3-access-key s3-secret-key output o token server
    new-token
    """
)
KNOWN = {
    "server": _SERVER_FLAGS,
    "agent": _AGENT_FLAGS,
    "etcd-snapshot": _SNAPSHOT_FLAGS,
    "token": _SNAPSHOT_FLAGS,
    "certificate": _SNAPSHOT_FLAGS | {"path", "force"},
}
BOOLEANS = words(
    """
    debug alsologtostderr tls-san-security flannel-ipv6-masq flannel-external-ip cluster-init cluster-reset
    etcd-expose-metrics etcd-disable-snapshots etcd-snapshot-compress etcd-s3 etcd-s3-skip-ssl-verify
    etcd-s3-insecure disable-scheduler disable-cloud-controller disable-kube-proxy disable-network-policy
    disable-helm-controller embedded-registry supervisor-metrics with-node-id docker
    disable-default-registry-endpoint nonroot-devices protect-kernel-defaults secrets-encryption enable-pprof
    rootless prefer-bundled-bin selinux s3 snapshot-compress disable-agent
    """
)
_SHORT = {"t": "token", "s": "server", "d": "data-dir", "c": "config", "i": "node-ip"}
_SHORT_OF = {"server": {"o": "write-kubeconfig"}, "etcd-snapshot": {"o": "output"}}
_ENVIRONMENT = {
    "K3S_TOKEN": "token",
    "K3S_TOKEN_FILE": "token-file",
    "K3S_AGENT_TOKEN": "agent-token",
    "K3S_AGENT_TOKEN_FILE": "agent-token-file",
    "K3S_URL": "server",
    "K3S_CLUSTER_INIT": "cluster-init",
    "K3S_CLUSTER_RESET": "cluster-reset",
    "K3S_NODE_NAME": "node-name",
    "K3S_DATA_DIR": "data-dir",
    "K3S_KUBECONFIG_OUTPUT": "write-kubeconfig",
    "K3S_KUBECONFIG_MODE": "write-kubeconfig-mode",
    "K3S_CONFIG_FILE": "config",
    "K3S_DATASTORE_ENDPOINT": "datastore-endpoint",
}


class UnknownFlag(ValueError):
    """A flag that k3s does not define; the text is urfave/cli's."""


@dataclass(frozen=True, slots=True)
class Flags:
    """The effective configuration of one command: name -> values in order, and what `k3s.io/node-args` shows."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: tuple[tuple[str, str], ...] = ()

    def text(self, name: str, default: str = "") -> str:
        """Return the last value of a flag."""
        values = self.values.get(name)
        return values[-1] if values else default

    def many(self, name: str) -> tuple[str, ...]:
        """Return all values of a flag; a comma separates values too."""
        return tuple(part for value in self.values.get(name, ()) for part in value.split(",") if part)

    def on(self, name: str) -> bool:
        """Check whether a boolean flag is set."""
        return self.text(name).lower() in ("true", "1", "t")

    def argument(self, name: str, key: str) -> str:
        """Give `value` of a component argument `key=value` (`kubelet-arg: [cloud-provider=external]`)."""
        pairs = (value.partition("=") for value in self.values.get(name, ()))
        return next((value for found, _, value in pairs if found == key), "")


def from_file(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Turn a parsed `config.yaml` into flag and value pairs, in its order."""
    pairs: list[tuple[str, str]] = []
    for key, value in document.items():
        entries = value if isinstance(value, list) else [value]
        pairs += [(str(key), _plain(entry)) for entry in entries]
    return pairs


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def from_arguments(command: str, arguments: Iterable[str]) -> list[tuple[str, str]]:
    """Turn command line arguments into flag and value pairs."""
    pairs: list[tuple[str, str]] = []
    queue, short = list(arguments), _SHORT | _SHORT_OF.get(command, {})
    while queue:
        word = queue.pop(0)
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-"):
            raise UnknownFlag(f"unexpected argument: {word}")
        name = short.get(name, name) if not word.startswith("--") else name
        if not equals:
            value = "true" if name in BOOLEANS or not queue else queue.pop(0)
        pairs.append((name, value))
    return pairs


def merge(
    command: str,
    document: Mapping[str, Any],
    environment: Mapping[str, str],
    arguments: Iterable[str],
) -> Flags:
    """Combine the three sources; a list of a stronger source replaces that of a weaker one.

    Raises:
        UnknownFlag: a flag that this command does not define.
    """
    written, typed = from_file(document), from_arguments(command, arguments)
    for name, _ in (*written, *typed):
        if name not in KNOWN[command]:
            raise UnknownFlag(f"flag provided but not defined: -{name}")
    set_by_environment = [
        (_ENVIRONMENT[key], value) for key, value in environment.items() if key in _ENVIRONMENT and value
    ]
    values: dict[str, tuple[str, ...]] = {}
    for source in (written, set_by_environment, typed):
        values |= _group(source)
    return Flags(values, (*written, *typed))


def _group(pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    grouped: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        grouped[name] = (*grouped.get(name, ()), value)
    return grouped


def read_document(path: Path = paths.CONFIG_FILE) -> dict[str, Any]:
    """Read `config.yaml` and its drop-ins `config.yaml.d/*.yaml`."""
    import yaml

    document: dict[str, Any] = {}
    for file in (path, *sorted(path.with_name(path.name + ".d").glob("*.yaml"))):
        if file.exists():
            document |= yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) or {}
    return document


def node_arguments(command: str, flags: Flags) -> list[str]:
    """Return the list that the Node annotation `k3s.io/node-args` shows, secrets masked."""
    shown = [command]
    for name, value in flags.given:
        secret = "token" in name or "secret" in name or "access-key" in name
        shown += [f"--{name}", "********" if secret else value]
    return shown
