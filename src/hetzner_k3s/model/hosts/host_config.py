"""What of a host's `config.yaml` follows from the file alone: rendered for a new host, compared with a running one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.model.spec import EXTERNAL_CLOUD, ClusterSpec, MasterSpec, WorkerSpec

RESOLV_CONF_PATH: Final = "/etc/k8s-resolv.conf"
"""What the kubelet hands to pods with host DNS; it must exist before k3s starts."""

MASTER_TAINT: Final = "CriticalAddonsOnly=true:NoExecute"

COMPARED: Final = frozenset(
    {
        *("kube-apiserver-arg", "kube-scheduler-arg", "kube-controller-manager-arg"),
        *("kube-cloud-controller-manager-arg", "kube-proxy-arg", "kubelet-arg", "node-taint"),
        *("etcd-snapshot-retention", "etcd-snapshot-schedule-cron", "tls-san", "disable"),
    }
)
"""The keys that a host tells of (`hosts/scripts/facts.sh`): none of them holds a secret of the cluster."""

Value = str | bool | int | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAddresses:
    """Where a host is.

    `interface` is the network interface that holds `internal_ip`; `server_id` the Hetzner server id. Without a
    private network only `public_ip` is needed.
    """

    internal_ip: str | None
    public_ip: str | None
    interface: str | None
    server_id: int

    @property
    def node_ip(self) -> str:
        """Return the address by which the nodes reach this one."""
        address = self.internal_ip or self.public_ip
        if address is None:
            raise ValueError("a host without an address cannot be a node")
        return address


def kubelet_args(spec: ClusterSpec, node: MasterSpec | WorkerSpec, addresses: HostAddresses) -> list[str]:
    """Return the arguments of a node's kubelet: its pool's own, else the cluster's, and ours.

    One that announces a cloud controller makes its Node wait for it, for ever. So it is there only where one comes
    (docs/decisions/0006).
    """
    external = [EXTERNAL_CLOUD] if spec.external_cloud else []
    of_file = spec.args.kubelet if node.kubelet_args is None else node.kubelet_args
    own = [argument for argument in of_file if argument not in external]
    args = [*external, f"resolv-conf={RESOLV_CONF_PATH}", *own]
    # With a private network the cloud controller finds the server by its name and sets the id itself.
    return args if spec.network.private else [*args, f"provider-id=hcloud://{addresses.server_id}"]


def tls_sans(spec: ClusterSpec, addresses: HostAddresses, api_addresses: tuple[str, ...]) -> list[str]:
    """Name only this host and what stands before all hosts.

    With every master's address in every file, as 2.6 does it, each replaced master changes the configuration of all
    others, and making that effective means restarting healthy ones (docs/facts/k3s.md#tls-san). Nobody needs
    them: who dials a host by its address gets that host's certificate.
    """
    sans = {addresses.node_ip, addresses.public_ip, "127.0.0.1", spec.api_server_hostname, *api_addresses}
    return sorted(san for san in sans if san)


def snapshot_settings(spec: ClusterSpec) -> dict[str, Value]:
    """Return when etcd saves itself, and how many snapshots it keeps."""
    config: dict[str, Value] = {}
    if spec.etcd.snapshot_retention:
        config["etcd-snapshot-retention"] = spec.etcd.snapshot_retention
    if spec.etcd.snapshot_schedule_cron:
        config["etcd-snapshot-schedule-cron"] = spec.etcd.snapshot_schedule_cron
    return config


def component_args(spec: ClusterSpec) -> dict[str, Value]:
    """Return the arguments of the Kubernetes components on a master, those of the file last."""
    args = spec.args
    proxy = ("metrics-bind-address=0.0.0.0", *args.kube_proxy) if spec.kubernetes_network.kube_proxy_args else ()
    lists = {
        "kube-apiserver-arg": args.kube_apiserver,
        "kube-scheduler-arg": ("bind-address=0.0.0.0", *args.kube_scheduler),
        "kube-controller-manager-arg": ("bind-address=0.0.0.0", *args.kube_controller_manager),
        "kube-cloud-controller-manager-arg": args.kube_cloud_controller_manager,
        "kube-proxy-arg": proxy,
    }
    return {name: list(values) for name, values in lists.items() if values}


def node_taints(spec: ClusterSpec, node: MasterSpec | WorkerSpec) -> list[str]:
    """Return the taints that a Node registers with; masters keep workloads away unless the file wants them there."""
    own = [str(taint) for taint in node.taints]
    return [MASTER_TAINT, *own] if isinstance(node, MasterSpec) and not spec.schedule_workloads_on_masters else own


def registries(spec: ClusterSpec) -> str:
    """Return the text of `registries.yaml`, which may hold passwords."""
    return f"{spec.addons.registries.reveal().strip()}\n"


def registries_hash(spec: ClusterSpec) -> str:
    """Return the digits by which a host's `registries.yaml` is compared, so that no password leaves it for that."""
    return hashlib.sha256(registries(spec).encode()).hexdigest()[:12]
