"""`/etc/rancher/k3s/config.yaml` and `registries.yaml` of a host, rendered from the spec and facts of the host.

The arguments are those of hetzner-k3s 2.6 (docs/facts/compatibility.md#k3s-arguments), flag by flag: k3s refuses a
server whose critical ones differ from the others' ("critical configuration value mismatch between servers"), so a
cluster that 2.6 made, or an older release of ours, could not get a new master. What 2.6 leaves to k3s' defaults (egress
selector mode, secrets encryption, the vxlan backend without encryption) is left out here too.

Three things differ, none of them critical:
- `cluster-init` never stands in a file that stays: a birth is permitted once, from outside
  (docs/architecture.md#bootstrap);
- the tokens are here (0600), not in a unit; the kubeconfig on the host is 0600, not 644 (docs/architecture.md#law-8);
- `tls-san` holds this host's own addresses, not every master's.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from hetzner_k3s.model.hosts.critical_config import critical_config
from hetzner_k3s.model.hosts.host_config import (
    HostAddresses,
    Value,
    component_args,
    kubelet_args,
    node_taints,
    registries,
    snapshot_settings,
    tls_sans,
)
from hetzner_k3s.model.hosts.s3_settings import settings
from hetzner_k3s.model.identity import token_password
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import API_PORT, ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.tokens import ClusterTokens

CONFIG_PATH: Final = "/etc/rancher/k3s/config.yaml"
REGISTRIES_PATH: Final = "/etc/rancher/k3s/registries.yaml"

RESOLV_CONF: Final = "nameserver 8.8.8.8\n"
"""As in 2.6: the host's own file may name a local stub that pods cannot reach."""


def api_url(host: str) -> str:
    """Return the URL of the API at an address or name, as `server:` takes it."""
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
            master: one that lacks it does not start a second time (docs/facts/k3s.md#agent-token).
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
        **_taints(spec, master),
        "advertise-address": addresses.node_ip,
        "tls-san": tls_sans(spec, addresses, api_addresses),
        "write-kubeconfig-mode": "0600",
        **critical_config(spec),
        **(carried or {}),
        **_datastore(spec),
        **component_args(spec),
    }
    return _yaml(config)


def render_agent(
    spec: ClusterSpec, worker: WorkerSpec, addresses: HostAddresses, *, tokens: ClusterTokens, server_url: str
) -> Secret:
    """Render `config.yaml` of a worker; arguments and errors as for a master."""
    return _yaml(
        {**_membership(tokens.for_agents, server_url), **_node(spec, worker, addresses), **_taints(spec, worker)}
    )


def render_registries(spec: ClusterSpec) -> Secret:
    """Render `registries.yaml`: the file's own text, trimmed as 2.6 does, on every node, mirror or not."""
    return Secret(registries(spec))


def _membership(token: Secret, server_url: str | None) -> dict[str, Value]:
    # The full token pins the CA, a bare password would take any CA on trust (docs/facts/k3s.md#token-pins-the-ca).
    return {"token": token.reveal(), **({"server": server_url} if server_url else {})}


def _agent_token(tokens: ClusterTokens) -> dict[str, Value]:
    """Name the agents' password bare: to a master it is what it demands, not what it trusts."""
    return {"agent-token": token_password(tokens.agent.reveal())} if tokens.agent else {}


def _node(spec: ClusterSpec, node: MasterSpec | WorkerSpec, addresses: HostAddresses) -> dict[str, Value]:
    config: dict[str, Value] = {"node-name": node.name, "node-ip": addresses.node_ip}
    if addresses.public_ip:
        config["node-external-ip"] = addresses.public_ip
    if spec.network.private:
        config["flannel-iface"] = _interface(node.name, addresses)
    if node.labels:
        config["node-label"] = [str(label) for label in node.labels]
    config["kubelet-arg"] = kubelet_args(spec, node, addresses)
    return config


def _interface(name: str, addresses: HostAddresses) -> str:
    """Without it flannel takes the interface of the default route: pods' traffic would cross the internet."""
    if not addresses.interface:
        raise ValueError(f"{name}: no interface holds the private address {addresses.internal_ip}")
    return addresses.interface


def _taints(spec: ClusterSpec, node: MasterSpec | WorkerSpec) -> dict[str, Value]:
    taints = node_taints(spec, node)
    return {"node-taint": [*taints]} if taints else {}


def _datastore(spec: ClusterSpec) -> dict[str, Value]:
    """Name the external database (its password stands in this file, 0600, only), or tell etcd when to save itself."""
    if spec.database is not None:
        return {"datastore-endpoint": spec.database.endpoint.reveal()}
    s3 = settings(spec.etcd.s3) if spec.etcd.s3 else {}
    return {"etcd-expose-metrics": True, **snapshot_settings(spec), **s3}


def _yaml(config: dict[str, Value]) -> Secret:
    """Write YAML with every text quoted: to k3s' YAML 1.1 reader a bare `0600` is a number and a bare `on` is true."""
    writer = YAML()
    writer.width = sys.maxsize
    writer.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    writer.dump({key: _quoted(value) for key, value in config.items()}, text)
    return Secret(text.getvalue())


def _quoted(value: Value) -> Value:
    if isinstance(value, list):
        return [DoubleQuotedScalarString(item) for item in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value
