"""What things are called at Hetzner and in Kubernetes: the one place where names, labels and selectors are made.

Names and the labels `cluster`, `role`, `pool` are exactly those of the Crystal tool 2.6
(docs/facts/compatibility.md#resources), so a cluster that it made can be taken over; labels of our own have a prefix.
"""

from __future__ import annotations

import re
from typing import Final

LABEL_CLUSTER: Final = "cluster"
LABEL_ROLE: Final = "role"
LABEL_POOL: Final = "pool"  # on placement groups only

ROLE_MASTER: Final = "master"
ROLE_WORKER: Final = "worker"
ROLE_MASTERS_GROUP: Final = "masters"  # placement groups carry the plural
ROLE_WORKERS_GROUP: Final = "workers"

LABEL_SERVICE_UID: Final = "hcloud-ccm/service-uid"
"""The cloud controller writes it on each load balancer that it makes, or takes over, for a Service."""

LABEL_PREFIX: Final = "hetzner-k3s/"
LABEL_PHASE: Final = "hetzner-k3s/phase"
LABEL_SEED: Final = "hetzner-k3s/seed"
LABEL_CA: Final = "hetzner-k3s/ca"
LABEL_UID: Final = "hetzner-k3s/uid"
LABEL_LINEAGE: Final = "hetzner-k3s/lineage"
LABEL_PARENT: Final = "hetzner-k3s/lineage-parent"
LABEL_DATABASE: Final = "hetzner-k3s/database"
LABEL_AGENT_TOKEN: Final = "hetzner-k3s/agent-token"
LABEL_ADOPTED: Final = "hetzner-k3s/adopted"
LABEL_STATE: Final = "hetzner-k3s/state"
LABEL_GOES_WITH: Final = "hetzner-k3s/goes-with"
LABEL_BOOT_KEY: Final = "hetzner-k3s/boot-key"
LABEL_HOST_KEY: Final = "hetzner-k3s/host-key"
LABEL_HOST_KEY_NEXT: Final = "hetzner-k3s/host-key-next"
LABEL_FIRST_BOOT: Final = "hetzner-k3s/first-boot"
LABEL_SURGE: Final = "hetzner-k3s/surge"
LABEL_LOCK_HOLDER: Final = "hetzner-k3s/holder"
LABEL_LOCK_RUN: Final = "hetzner-k3s/run"
LABEL_LOCK_EXPIRES: Final = "hetzner-k3s/expires"
LABEL_LOCK_LEASE: Final = "hetzner-k3s/lease"

SURGE: Final = "yes"
PHASE_BOOTSTRAPPING: Final = "bootstrapping"
PHASE_BORN: Final = "born"
PHASE_DELETING: Final = "deleting"
STATE_MEMBER: Final = "member"

BIRTH_RECORD_LABELS: Final = (
    LABEL_PHASE,
    LABEL_SEED,
    LABEL_CA,
    LABEL_UID,
    LABEL_LINEAGE,
    LABEL_PARENT,
    LABEL_DATABASE,
    LABEL_AGENT_TOKEN,
    LABEL_ADOPTED,
)
"""The labels that together are the birth record (docs/architecture.md#birth-record)."""

MEMBER_LABELS: Final = (LABEL_STATE, LABEL_LINEAGE, LABEL_PARENT)
"""What a master's server says of the data on its disk alone: it goes when that data goes, or joins anew."""

CA_LABEL_DIGITS: Final = 40
"""A label value holds 63 characters; the CA hash has 64 hex digits, so its first 40 stand for it."""

ANNOTATION_SERVER_ID: Final = "hetzner-k3s/server-id"
"""Node annotation: the Hetzner server id (without a cloud controller `providerID` is empty)."""

ANNOTATION_APPLIED_BY: Final = "hetzner-k3s/applied-by"
"""On Secret `hcloud`: who put a Hetzner token there (the holder of the operator lock then)."""

ANNOTATION_LEAVING: Final = "hetzner-k3s/leaving"
"""Node annotation: we cordoned it because it goes; the value says how far that has come."""

ANNOTATION_CORDONED_BEFORE: Final = "hetzner-k3s/cordoned-before"
"""Node annotation: somebody else had cordoned it when we did, so it stays cordoned when we take our mark back."""

ANNOTATION_APPLIED: Final = "hetzner-k3s/applied"
"""Node annotation: the keys of labels and taints that we set, as JSON."""

LABEL_APPLIED: Final = "node-restriction.kubernetes.io/hetzner-k3s-applied"
"""Node label: a digest of that annotation. Of this domain no kubelet may set one."""

ANNOTATION_ENCRYPTION: Final = "k3s.io/encryption-config-hash"
"""Node annotation of k3s: how far a change of the keys that encrypt secrets is, and a digest of them."""

PLACEMENT_GROUP_SIZE: Final = 10
"""Servers a Hetzner spread placement group holds (docs/facts/hetzner-api.md#placement-groups)."""

MAX_PLACEMENT_GROUPS: Final = 49
"""A project holds 50 (docs/facts/hetzner-api.md#limits); one is kept free for the operator lock."""

MAX_NAME_LENGTH: Final = 63
"""Node names and label values end here; a server's name is its node's name."""

_INSTANCE_TYPE: Final = r"[a-z]+[0-9]+(?:-[a-z0-9]+)?"  # cpx22, cax41, ccx13; of old also cx11-ceph


def master_name(cluster: str, index: int, instance_type: str | None = None) -> str:
    """Name master number `index` (from 1); `instance_type` only with `include_instance_type_in_instance_name`."""
    return f"{cluster}-{_type_part(instance_type)}master{index}"


def worker_name(cluster: str, pool: str, index: int, instance_type: str | None = None) -> str:
    """Name worker number `index` (from 1) of `pool`; `instance_type` as for masters."""
    return f"{cluster}-{_type_part(instance_type)}pool-{pool}-worker{index}"


def _type_part(instance_type: str | None) -> str:
    return f"{instance_type}-" if instance_type else ""


def masters_placement_group(cluster: str, index: int) -> str:
    """Name the placement group of the masters that `placement_group_index` numbers `index`."""
    return f"{cluster}-masters-pg{index}"


def workers_placement_group(cluster: str, pool: str, index: int) -> str:
    """Name placement group `index` (from 1) of a static worker pool."""
    return f"{cluster}-pool-{pool}-workers-pg{index}"


def placement_group_index(server_index: int) -> int:
    """Return which group (from 1) the server number `server_index` (from 1) belongs to."""
    return (server_index - 1) // PLACEMENT_GROUP_SIZE + 1


def birth_record_placement_group(cluster: str) -> str:
    """Name the placement group whose labels hold the birth record."""
    return masters_placement_group(cluster, 1)


def network(cluster: str) -> str:
    """Name our own private network."""
    return cluster


def firewall(cluster: str) -> str:
    """Name the firewall."""
    return cluster


def ssh_key(cluster: str) -> str:
    """Name the SSH key we register when none is named in the file."""
    return cluster


def api_load_balancer(cluster: str) -> str:
    """Name the load balancer of the Kubernetes API."""
    return f"{cluster}-api"


def operator_lock(cluster: str) -> str:
    """Name the empty placement group whose existence is the operator lock.

    See docs/architecture.md#operator-lock.
    """
    return f"{cluster}-operator-lock"


def server_labels(cluster: str, role: str, *, surge: bool = False) -> dict[str, str]:
    """Return the labels 2.6 puts on a server, and ours on one for the time of a rollout.

    `role` is ROLE_MASTER or ROLE_WORKER.
    """
    return {LABEL_CLUSTER: cluster, LABEL_ROLE: role} | ({LABEL_SURGE: SURGE} if surge else {})


def placement_group_labels(cluster: str, pool: str | None = None) -> dict[str, str]:
    """Return the labels 2.6 puts on a placement group: the masters' (`pool` is None) or a worker pool's."""
    if pool is None:
        return {LABEL_CLUSTER: cluster, LABEL_ROLE: ROLE_MASTERS_GROUP}
    return {LABEL_CLUSTER: cluster, LABEL_ROLE: ROLE_WORKERS_GROUP, LABEL_POOL: pool}


def cluster_selector(cluster: str) -> str:
    """Select every labelled resource of the cluster; the firewall applies to it."""
    return f"{LABEL_CLUSTER}={cluster}"


def masters_selector(cluster: str) -> str:
    """Select the masters: what 2.6 puts behind the API load balancer."""
    return f"{LABEL_CLUSTER}={cluster},{LABEL_ROLE}={ROLE_MASTER}"


def members_selector(cluster: str) -> str:
    """Select the masters that joined: our API load balancer's targets (a booting master must get no traffic)."""
    return f"{masters_selector(cluster)},{LABEL_STATE}={STATE_MEMBER}"


def master_name_pattern(cluster: str) -> re.Pattern[str]:
    """Match every name a master of this cluster can have: with or without an instance type, 1.x names included.

    The first group is the master's number. A cluster `a-cpx22` and a cluster `a` with instance type `cpx22` cannot be
    told apart by name; callers check the label `cluster` of what matches.
    """
    return re.compile(rf"{re.escape(cluster)}-(?:{_INSTANCE_TYPE}-)?master([1-9]\d*)")


def worker_name_pattern(cluster: str) -> re.Pattern[str]:
    """Match every name a static worker of this cluster can have; groups: pool, number."""
    return re.compile(rf"{re.escape(cluster)}-(?:{_INSTANCE_TYPE}-)?pool-([A-Za-z0-9_-]+)-worker([1-9]\d*)")
