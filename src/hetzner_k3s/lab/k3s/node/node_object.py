"""The Node object a kubelet registers and keeps, as an object: fixture kube/nodes.json. Pure."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.logfmt import Fatal

UNINITIALIZED = "node.cloudprovider.kubernetes.io/uninitialized"
INSTANCE_ANNOTATION = "lab.hetzner-k3s/instance-id"
PUBLIC_ADDRESS_ANNOTATION = "lab.hetzner-k3s/public-ipv4"
_PROVIDED = "alpha.kubernetes.io/provided-node-ip"
READY = ("Ready", "True", "KubeletReady", "kubelet is posting ready status")
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    READY,
)


_MAY_SET = (
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
)
_MAY_SET_BELOW = ("kubelet.kubernetes.io", "node.kubernetes.io")


def check_labels(labels: Sequence[str]) -> None:
    """End the kubelet as a real one ends with labels of Kubernetes' own that a node may not give itself.

    Raises:
        Fatal: with the kubelet's line.
    """
    unknown = [key for label in labels if _is_foreign(key := label.partition("=")[0])]
    if unknown:
        raise Fatal(
            f"kubelet exited: unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels: {unknown}"
        )


def _is_foreign(key: str) -> bool:
    domain = f".{key.rpartition('/')[0]}"
    own = key in _MAY_SET or any(domain.endswith(f".{allowed}") for allowed in _MAY_SET_BELOW)
    return domain.endswith((".kubernetes.io", ".k8s.io")) and not own


@dataclass(frozen=True, slots=True)
class Host:
    """What a kubelet knows about its machine."""

    cpus: int
    memory_kib: int
    kernel: str
    os_image: str
    machine_id: str
    boot_id: str
    architecture: str = "amd64"
    instance_id: str = ""
    public_ipv4: str = ""
    region: str = ""
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Registration:
    """What a node registers with.

    Args:
        name: node name.
        addresses: `node-ip`, the first one is the node's.
        version: kubelet version.
        server: it is a control-plane node.
        external_cloud: it is tainted until a cloud controller has seen it.
        labels, taints: `node-label`, `node-taint` (`key=value:effect`).
        provider_id: `kubelet-arg: provider-id=…`.
        leaves_addresses: `kubelet-arg: cloud-provider=external`: addresses that the Node has are the cloud's to change.
        arguments: for the annotation `k3s.io/node-args`.
    """

    name: str
    addresses: tuple[str, ...]
    version: str
    server: bool
    external_cloud: bool
    host: Host
    labels: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()
    provider_id: str = ""
    leaves_addresses: bool = False
    arguments: Sequence[str] = field(default_factory=tuple)


def labels(registration: Registration) -> dict[str, str]:
    """Return the labels a kubelet and k3s put on the Node."""
    architecture = registration.host.architecture
    found = {
        "beta.kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "kubernetes.io/hostname": registration.name,
        "kubernetes.io/os": "linux",
    }
    if registration.server:
        found["node-role.kubernetes.io/control-plane"] = "true"
    return found | {key: value for key, _, value in (text.partition("=") for text in registration.labels)}


def notes(registration: Registration) -> dict[str, str]:
    """Return the annotations of a Node (flannel's and the lab's own among them)."""
    arguments = json.dumps(list(registration.arguments), separators=(",", ":"))
    digest = base64.b32encode(hashlib.sha256(arguments.encode()).digest()).decode()
    found = {
        _PROVIDED: ",".join(registration.addresses),
        "flannel.alpha.coreos.com/public-ip": registration.addresses[0],
        "k3s.io/node-args": arguments,
        "k3s.io/node-config-hash": digest,
        "k3s.io/node-env": "{}",
        "node.alpha.kubernetes.io/ttl": "0",
        "volumes.kubernetes.io/controller-managed-attach-detach": "true",
    }
    host = registration.host
    lab = {INSTANCE_ANNOTATION: host.instance_id, PUBLIC_ADDRESS_ANNOTATION: host.public_ipv4}
    return found | {key: value for key, value in lab.items() if value}


def _taint(text: str) -> Obj:
    body, _, effect = text.rpartition(":")
    key, _, value = body.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def new(registration: Registration) -> Obj:
    """Make the Node a kubelet registers for the first time."""
    taints = [_taint(text) for text in registration.taints]
    if registration.external_cloud:
        taints.append({"key": UNINITIALIZED, "value": "true", "effect": "NoSchedule"})
    spec: Obj = {"taints": taints} if taints else {}
    spec |= {"providerID": registration.provider_id} if registration.provider_id else {}
    metadata = {"name": registration.name, "labels": labels(registration), "annotations": notes(registration)}
    return {"metadata": metadata, "spec": spec}


def again(registration: Registration, old: Obj) -> Obj:
    """Update the Node a kubelet finds under its name: uid, taints and providerID stay.

    See docs/facts/k3s.md#kubelet-reuses-its-node.
    """
    node = copy.deepcopy(old)
    node["metadata"]["labels"] = (old["metadata"].get("labels") or {}) | labels(registration)
    node["metadata"]["annotations"] = (old["metadata"].get("annotations") or {}) | notes(registration)
    return node


def status(registration: Registration, old: Obj, now: str) -> Obj:
    """Return the status a kubelet posts; conditions of others (EtcdIsVoter) and unchanged transition times stay.

    So do addresses under an external cloud provider, whatever the host's are now (fixture runs/05-07.log).
    """
    host = registration.host
    capacity = {
        "cpu": str(host.cpus),
        "memory": f"{host.memory_kib}Ki",
        "pods": "110",
        "ephemeral-storage": "41943040Ki",
    }
    posted = {
        "addresses": old.get("status", {}).get("addresses") if registration.leaves_addresses else None,
        "capacity": capacity,
        "allocatable": capacity,
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": _node_info(registration),
    }
    posted["addresses"] = posted["addresses"] or _addresses(registration.name, registration.addresses)
    conditions = old.get("status", {}).get("conditions", [])
    for healthy in _HEALTHY:
        conditions = with_condition(conditions, healthy, now)
    return (old.get("status") or {}) | posted | {"conditions": conditions}


def with_external_ip(node: Obj, address: str, *, network: bool) -> Obj:
    """Return a Node with its public address, as a cloud controller adds it to those that the kubelet was given.

    One that knows of no `network` shows that address alone (docs/facts/k3s.md#addresses-of-a-node).

    The kubelet may not have posted them yet, and then leaves what it finds (`Registration.leaves_addresses`).
    """
    posted = node.get("status") or {}
    found = posted.get("addresses") or _addresses(node["metadata"]["name"], _provided(node))
    known = {"InternalIP", "Hostname"} if network else {"Hostname"}
    others = [row for row in found if row["type"] in known]
    return node | {"status": posted | {"addresses": [*others, {"address": address, "type": "ExternalIP"}]}}


def _provided(node: Obj) -> list[str]:
    text = str((node["metadata"].get("annotations") or {}).get(_PROVIDED, ""))
    return text.split(",") if text else []


def _addresses(name: str, internal: Sequence[str]) -> list[Obj]:
    rows = [{"address": address, "type": "InternalIP"} for address in internal]
    return [*rows, {"address": name, "type": "Hostname"}]


def internal_ip(node: Obj) -> str:
    """Return a Node's first InternalIP, else its ExternalIP, or the empty string."""
    rows = node.get("status", {}).get("addresses") or ()
    found = {row["type"]: str(row["address"]) for row in reversed(rows)}
    return found.get("InternalIP") or found.get("ExternalIP", "")


def _node_info(registration: Registration) -> Obj:
    host = registration.host
    return {
        "architecture": host.architecture,
        "bootID": host.boot_id,
        "containerRuntimeVersion": "containerd://2.3.2-k3s2",
        "kernelVersion": host.kernel,
        "kubeProxyVersion": "",
        "kubeletVersion": registration.version,
        "machineID": host.machine_id,
        "operatingSystem": "linux",
        "osImage": host.os_image,
        "systemUUID": host.machine_id,
    }


def with_condition(conditions: list[Obj], wanted: tuple[str, str, str, str], now: str) -> list[Obj]:
    """Set a condition (type, status, reason, message) in a list; its transition time moves only with its status."""
    kind, value, reason, message = wanted
    old = next((row for row in conditions if row["type"] == kind), None)
    changed = old is None or old["status"] != value
    row = {
        "type": kind,
        "status": value,
        "reason": reason,
        "message": message,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now if changed or old is None else old["lastTransitionTime"],
    }
    return [row if entry["type"] == kind else entry for entry in conditions] if old else [*conditions, row]


def condition(node: Obj, kind: str) -> str:
    """Return a condition's status, or the empty string."""
    rows = node.get("status", {}).get("conditions", ())
    return next((str(row["status"]) for row in rows if row["type"] == kind), "")
