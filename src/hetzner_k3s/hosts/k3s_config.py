"""`/etc/rancher/k3s/config.yaml` and `registries.yaml` of a host, rendered from the spec and facts of the host.

The arguments are those of hetzner-k3s 2.6 (DEMAND_AND_COMPATIBILITY.md 6.9), flag by flag: k3s refuses a server whose
critical ones differ from the others' ("critical configuration value mismatch between servers"), so a cluster that 2.6
made, or an older release of ours, could not get a new master. What 2.6 leaves to k3s' defaults (egress selector
mode, secrets encryption, the vxlan backend without encryption) is left out here too.

Three things differ, none of them critical:
- `cluster-init` never stands in a file that stays: a birth is permitted once, from outside (ARCHITECTURE 6);
- the tokens are here (0600), not in a unit; the kubeconfig on the host is 0600, not 644 (law 8);
- `tls-san` holds this host's own addresses, not every master's.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from hetzner_k3s.model.critical import critical_config
from hetzner_k3s.model.identity import token_password
from hetzner_k3s.model.s3_settings import settings
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import API_PORT, EXTERNAL_CLOUD, ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.tokens import ClusterTokens

CONFIG_PATH: Final = "/etc/rancher/k3s/config.yaml"
REGISTRIES_PATH: Final = "/etc/rancher/k3s/registries.yaml"

RESOLV_CONF_PATH: Final = "/etc/k8s-resolv.conf"
"""What the kubelet hands to pods with host DNS; it must exist before k3s starts."""

RESOLV_CONF: Final = "nameserver 8.8.8.8\n"
"""As in 2.6: the host's own file may name a local stub that pods cannot reach."""

MASTER_TAINT: Final = "CriticalAddonsOnly=true:NoExecute"

Value = str | bool | int | list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostAddresses:
    """Where a host is.

    `private_interface` is the network interface that holds `private_ip`; `server_id` the Hetzner server id. Without a
    private network only `public_ip` is needed.
    """

    private_ip: str | None
    public_ip: str | None
    private_interface: str | None
    server_id: int

    @property
    def node_ip(self) -> str:
        """Give the address by which the nodes reach this one."""
        address = self.private_ip or self.public_ip
        if address is None:
            raise ValueError("a host without an address cannot be a node")
        return address


def api_url(host: str) -> str:
    """Give the URL of the API at an address or name, as `server:` takes it."""
    return f"https://[{host}]:{API_PORT}" if ":" in host else f"https://{host}:{API_PORT}"


def render_server(
    spec: ClusterSpec,
    master: MasterSpec,
    addresses: HostAddresses,
    *,
    tokens: ClusterTokens,
    server_url: str | None,
    api_addresses: tuple[str, ...] = (),
    carried: Mapping[str, str | bool] | None = None,
) -> Secret:
    """Render `config.yaml` of a master.

    Args:
        spec, master: the cluster, and which of its masters.
        addresses: where its host is.
        tokens: the full K10 token; at birth, before there is one, the new password. The agents' one goes into every
            master: one that lacks it does not start a second time (K3S_RUN_FACTS_2.md I).
        server_url: `https://<some other master or the API address>:6443`; None only at a birth, in a cluster of one
            master, and with an external database, through which masters find each other. With it, a host whose disk was
            lost joins instead of making a second cluster.
        api_addresses: further addresses of the API: the load balancer's.
        carried: critical arguments of the running masters that no key of the file says.

    Raises:
        ValueError: the host lacks an address or the interface of its private address.
    """
    config: dict[str, Value] = {
        **_membership(tokens.server, server_url),
        **_agent_token(tokens),
        **_node(spec, master, addresses),
        **_masters_taints(spec, master),
        "advertise-address": addresses.node_ip,
        "tls-san": _tls_sans(spec, addresses, api_addresses),
        "write-kubeconfig-mode": "0600",
        **critical_config(spec),
        **(carried or {}),
        **_datastore(spec),
        **_component_args(spec),
    }
    return _yaml(config)


def render_agent(
    spec: ClusterSpec, worker: WorkerSpec, addresses: HostAddresses, *, tokens: ClusterTokens, server_url: str
) -> Secret:
    """Render `config.yaml` of a worker; arguments and errors as for a master."""
    return _yaml({**_membership(tokens.for_agents, server_url), **_node(spec, worker, addresses), **_taints(worker)})


def render_registries(spec: ClusterSpec) -> Secret:
    """Render `registries.yaml`: the file's own text, trimmed as 2.6 does, on every node, mirror or not."""
    return Secret(f"{spec.addons.registries.reveal().strip()}\n")


def _membership(token: Secret, server_url: str | None) -> dict[str, Value]:
    # The full token pins the CA, a bare password would take any CA on trust (RECOVERY_FACTS.md 0, fact 4).
    return {"token": token.reveal(), **({"server": server_url} if server_url else {})}


def _agent_token(tokens: ClusterTokens) -> dict[str, Value]:
    """Name the agents' password bare: to a master it is what it demands, not what it trusts."""
    return {"agent-token": token_password(tokens.agent.reveal())} if tokens.agent else {}


def _node(spec: ClusterSpec, node: MasterSpec | WorkerSpec, addresses: HostAddresses) -> dict[str, Value]:
    config: dict[str, Value] = {"node-name": node.name, "node-ip": addresses.node_ip}
    if addresses.public_ip:
        config["node-external-ip"] = addresses.public_ip
    if spec.network.private:
        config["flannel-iface"] = _private_interface(node.name, addresses)
    if node.labels:
        config["node-label"] = [str(label) for label in node.labels]
    config["kubelet-arg"] = _kubelet_args(spec, addresses)
    return config


def _private_interface(name: str, addresses: HostAddresses) -> str:
    """Without it flannel takes the interface of the default route: pods' traffic would cross the internet."""
    if not addresses.private_interface:
        raise ValueError(f"{name}: no interface holds the private address {addresses.private_ip}")
    return addresses.private_interface


def _kubelet_args(spec: ClusterSpec, addresses: HostAddresses) -> list[str]:
    """Give the kubelet's arguments; one that announces a cloud controller makes its Node wait for it, for ever.

    So it is there only where one comes (docs/decisions/0006).
    """
    external = [EXTERNAL_CLOUD] if spec.external_cloud else []
    own = [argument for argument in spec.args.kubelet if argument not in external]
    args = [*external, f"resolv-conf={RESOLV_CONF_PATH}", *own]
    # With a private network the cloud controller finds the server by its name and sets the id itself.
    return args if spec.network.private else [*args, f"provider-id=hcloud://{addresses.server_id}"]


def _masters_taints(spec: ClusterSpec, master: MasterSpec) -> dict[str, Value]:
    own = [str(taint) for taint in master.taints]
    taints = own if spec.schedule_workloads_on_masters else [MASTER_TAINT, *own]
    return {"node-taint": taints} if taints else {}


def _taints(worker: WorkerSpec) -> dict[str, Value]:
    return {"node-taint": [str(taint) for taint in worker.taints]} if worker.taints else {}


def _tls_sans(spec: ClusterSpec, addresses: HostAddresses, api_addresses: tuple[str, ...]) -> list[str]:
    """Name only this host and what stands before all hosts.

    With every master's address in every file, as 2.6 does it, each replaced master changes the configuration of all
    others, and making that effective means restarting healthy ones (RECOVERY_FACTS.md 5, hazard 7). Nobody needs
    them: who dials a host by its address gets that host's certificate.
    """
    sans = {addresses.node_ip, addresses.public_ip, "127.0.0.1", spec.api_server_hostname, *api_addresses}
    return sorted(san for san in sans if san)


def _datastore(spec: ClusterSpec) -> dict[str, Value]:
    """Name the external database (its password stands in this file, 0600, only), or tell etcd when to save itself."""
    if spec.database is not None:
        return {"datastore-endpoint": spec.database.endpoint.reveal()}
    return _etcd(spec)


def _etcd(spec: ClusterSpec) -> dict[str, Value]:
    config: dict[str, Value] = {"etcd-expose-metrics": True}
    if spec.etcd.snapshot_retention:
        config["etcd-snapshot-retention"] = spec.etcd.snapshot_retention
    if spec.etcd.snapshot_schedule_cron:
        config["etcd-snapshot-schedule-cron"] = spec.etcd.snapshot_schedule_cron
    return config if spec.etcd.s3 is None else {**config, **settings(spec.etcd.s3)}


def _component_args(spec: ClusterSpec) -> dict[str, Value]:
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


def _yaml(config: dict[str, Value]) -> Secret:
    """Write YAML with every text quoted: to k3s' YAML 1.1 reader a bare `0600` is a number and a bare `on` is true."""
    writer = YAML()
    writer.width = 4096
    writer.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    writer.dump({key: _quoted(value) for key, value in config.items()}, text)
    return Secret(text.getvalue())


def _quoted(value: Value) -> Value:
    if isinstance(value, list):
        return [DoubleQuotedScalarString(item) for item in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value
