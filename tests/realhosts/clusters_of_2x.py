"""A cluster on real hosts as hetzner-k3s 2.x makes it: its servers are ours, all of k3s on them is begun anew its way.

See docs/facts/k3s.md#made-by-2x and docs/facts/compatibility.md#resources.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.realhosts.cluster import NAME, Cluster
from tests.realhosts.standing import until
from tests.sim.manifests_of_2x import cloud_controller, csi_driver, whole

from hetzner_k3s.model.naming import LABEL_PREFIX
from hetzner_k3s.model.spec import KubernetesNetworkSpec
from hetzner_k3s.model.text.plain_yaml import read

BARE_TOKEN = "thirty-two-characters-of-2x-give"
SERVER_UNIT, AGENT_UNIT = "k3s", "k3s-agent"
_OURS = "/var/lib/rancher /etc/rancher /var/lib/hetzner-k3s /run/hetzner-k3s /usr/local/lib/hetzner-k3s"
_NOT_OF_2X = {"token", "server", "agent-token", "cluster-init"}

# What k3s' own installer writes (host/etc_files_server.txt), with each word of the command line on a line of its own.
_INSTALL = """\
systemctl stop {unit} && systemctl reset-failed {unit} 2>/dev/null
rm -rf {ours} /etc/systemd/system/k3s*
umask 077
cat >/etc/systemd/system/{unit}.service.env <<'END'
{environment}
END
cat >/etc/systemd/system/{unit}.service <<'END'
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/{unit}.service.env
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStart=/usr/local/bin/k3s \\
    {command} \\
{words}
END
chmod 0644 /etc/systemd/system/{unit}.service
systemctl daemon-reload && systemctl enable --quiet {unit}
"""


def make_of_2x(cluster: Cluster) -> None:
    """Take k3s, its data and every mark of ours off a cluster's hosts and resources, and begin it as 2.x does."""
    first, *others = cluster.masters()
    workers = sorted(set(cluster.lab.servers()) - {first, *others})
    url = f"https://{_private(cluster, first)}:6443"
    token = f"K3S_TOKEN='{BARE_TOKEN}'"
    with ThreadPoolExecutor() as pool:
        for done in (
            pool.submit(_install, cluster, first, SERVER_UNIT, token, "--cluster-init"),
            *(pool.submit(_install, cluster, name, SERVER_UNIT, token, f"--server={url}") for name in others),
            *(pool.submit(_install, cluster, n, AGENT_UNIT, f"{token}\nK3S_URL='{url}'") for n in workers),
        ):
            done.result()
    for name in (first, *others):
        cluster.sh(name, f"systemctl start {SERVER_UNIT}")
    for name in workers:
        cluster.sh(name, f"systemctl start --no-block {AGENT_UNIT}")
    _apply_addons(cluster, first)
    _forget(cluster)
    until(lambda: _all_ready(cluster, first), "all Nodes are Ready", within=120)


def units(cluster: Cluster) -> Mapping[str, str]:
    """Return what no adoption may change on each host: process and start of its k3s, and each byte of its files."""
    look = (
        "systemctl show k3s k3s-agent -p MainPID -p ExecMainStartTimestampMonotonic -p NRestarts; "
        "find /etc/systemd/system /etc/rancher /etc/ssh /usr/local -type f -exec sha256sum {} + | sort"
    )
    return {name: cluster.sh(name, look) for name in cluster.lab.servers()}


def _install(cluster: Cluster, server: str, unit: str, environment: str, how: str = "") -> None:
    settings = read(cluster.sh(server, "cat /etc/rancher/k3s/config.yaml"))
    words = [*_flags(settings), *([how] if how else [])]
    script = _INSTALL.format(
        unit=unit,
        ours=_OURS,
        environment=environment,
        command="server" if unit == SERVER_UNIT else "agent",
        words=" \\\n".join(f"        '{word}'" for word in words),
    )
    cluster.sh(server, script)


def _flags(settings: Mapping[str, object]) -> Iterator[str]:
    for name, value in settings.items():
        if name in _NOT_OF_2X:
            continue
        for one in value if isinstance(value, list) else [value]:
            yield f"--{name}={str(one).lower() if isinstance(one, bool) else one}"


def _apply_addons(cluster: Cluster, master: str) -> None:
    """Have the cloud controller and the CSI driver be what their manifests make, as 2.x applies them."""
    network = cluster.lab.resources("networks")[0]["name"]
    secret = {
        "kind": "Secret",
        "metadata": {"name": "hcloud"},
        "stringData": {"network": network, "token": cluster.lab.token},
    }
    manifests = (*cloud_controller(KubernetesNetworkSpec().cluster_cidr), *csi_driver())
    for manifest in (secret, *manifests):
        text = json.dumps(whole(manifest)).replace("'", "'\\''")
        cluster.sh(master, f"printf %s '{text}' | k3s kubectl apply -f - >/dev/null")


def _forget(cluster: Cluster) -> None:
    """Leave the labels that 2.x gives, and nothing of the cluster on this machine."""
    for kind in ("servers", "placement_groups", "networks", "firewalls", "load_balancers"):
        for found in cluster.lab.resources(kind):
            bare = kind not in {"servers", "placement_groups"}
            kept = {k: v for k, v in found["labels"].items() if not bare and not k.startswith(LABEL_PREFIX)}
            cluster.lab.client.api("PUT", f"/{kind}/{found['id']}", {"labels": kept})
    assert all(s["labels"].get("cluster") == NAME for s in cluster.lab.servers().values())
    shutil.rmtree(cluster.folder / "state", ignore_errors=True)
    cluster.kubeconfig.unlink(missing_ok=True)


def _private(cluster: Cluster, server: str) -> str:
    address: str = cluster.lab.servers()[server]["private_net"][0]["ip"]
    return address


def _all_ready(cluster: Cluster, master: str) -> bool:
    nodes = cluster.nodes(master)
    ready = [n for n, node in nodes.items() if {"type": "Ready", "status": "True"}.items() <= _condition(node).items()]
    return sorted(ready) == sorted(cluster.lab.servers())


def _condition(node: Mapping[str, Any]) -> Mapping[str, str]:
    return next((c for c in node["status"].get("conditions", []) if c["type"] == "Ready"), {})
