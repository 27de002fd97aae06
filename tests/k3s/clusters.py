"""Clusters on a rig: how tests give birth to one and let servers and workers join."""

from __future__ import annotations

from typing import Any

from .rig import Host, Rig, eventually

TOKEN = "/var/lib/rancher/k3s/server/token"
SERVER = "/var/lib/rancher/k3s/server"


def token_of(host: Host) -> str:
    """Read a server's full token."""
    return host.path(TOKEN).read_text().strip()


def birth(rig: Rig, **config: Any) -> Host:
    """Start the first server of a cluster."""
    first = rig.host("master1")
    first.server_config(**config)
    first.start(environment={"K3S_CLUSTER_INIT": "true"}).wait_ready()
    return first


def join(rig: Rig, name: str, through: Host) -> Host:
    """Start a further server (on its host of that name, if there is one) and promote it."""
    host = rig.hosts.get(name) or rig.host(name)
    host.server_config(server=f"https://{through.address}:6443", token=token_of(through))
    host.start()
    through.promote(name)
    host.wait_ready()
    return host


def start_worker(rig: Rig, name: str, through: Host, token: str) -> Host:
    """Start a worker with this token; returns at once."""
    host = rig.host(name)
    host.configure(
        server=f"https://{through.address}:6443",
        token=token,
        node_name=name,
        node_ip=host.address,
        kubelet_arg=["cloud-provider=external"],
    )
    return host.start(command="agent")


def work(rig: Rig, name: str, through: Host, token: str = "") -> Host:
    """Start a worker and see its Node; no cloud controller runs here, so its k3s does not become active (second/15)."""
    host = start_worker(rig, name, through, token or token_of(through))
    eventually(f"Node {name}", lambda: name in through.kubectl("get", "nodes"), 20, host.tail)
    return host


def three_masters(rig: Rig) -> tuple[Host, Host, Host]:
    """Make a cluster of three; every configuration names another server, and all members are equally far."""
    first = birth(rig)
    second = join(rig, "master2", first)
    third = join(rig, "master3", first)
    first.server_config(server=f"https://{second.address}:6443", token=token_of(first))
    eventually("the last promotion is known to all", lambda: agree(first, second, third), 10)
    return first, second, third


def agree(*hosts: Host) -> bool:
    """Tell whether all members applied the same, so that a kill finds no one behind."""
    return len({host.gateway("maintenance/status", {}).json["raftAppliedIndex"] for host in hosts}) == 1


def lease_holder(host: Host, lease: str) -> str:
    """Name the server that holds a lease of kube-system."""
    path = "jsonpath={.spec.holderIdentity}"
    return host.kubectl("get", "lease", lease, "-n", "kube-system", "-o", path, check=False).partition("_")[0]


def has_no_leader(host: Host) -> bool:
    """Tell whether etcd's health endpoint says so."""
    answer = host.curl("http://127.0.0.1:2381/health")
    return answer.code == 503 and answer.json == {"health": "false", "reason": "RAFT NO LEADER"}
