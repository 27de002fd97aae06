"""The wish that simulated runs work for."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.model import naming
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import (
    ClusterSpec,
    DatabaseSpec,
    KubernetesNetworkSpec,
    MasterSpec,
    NetworkSpec,
    PoolSpec,
    S3Spec,
    SshSpec,
    WorkerSpec,
)
from hetzner_k3s.model.version import K3sVersion

CLUSTER = "prod"
VERSION = "v1.36.3+k3s1"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeUdLJrxLYw0tZ1xkV8fJ3Q1y0x3bJfGmZkR2w9kq3S someone"
_GROUPS = naming.MAX_PLACEMENT_GROUPS - 1
_TYPE, _IMAGE, _LOCATION = "cpx22", "debian-13", "fsn1"

MASTER1, MASTER2, MASTER3 = (naming.master_name(CLUSTER, index) for index in (1, 2, 3))
WORKER1, WORKER2 = (naming.worker_name(CLUSTER, "small", index) for index in (1, 2))


def a_spec(masters: int = 3, workers: int = 2, *, load_balancer: bool = False, version: str = VERSION) -> ClusterSpec:
    """Make the wish for a cluster with one pool."""
    return ClusterSpec(
        name=CLUSTER,
        hetzner_token=Secret("simulated-token"),
        kubeconfig_path="/home/someone/kubeconfig",
        k3s_version=K3sVersion.parse(version),
        masters=tuple(_master(index) for index in range(1, masters + 1)),
        ssh=SshSpec(private_key_path=None, public_key_path="~/.ssh/id.pub", public_key=PUBLIC_KEY),
        pools=(_pool(workers),),
        api_load_balancer=load_balancer and masters > 1,
    )


S3 = S3Spec(
    endpoint="s3.example.com",
    region="fsn1",
    bucket="backups",
    access_key=Secret("an access key of S3"),
    secret_key=Secret("a secret key of S3"),
    folder=CLUSTER,
    shared_root=True,
)


def with_s3(spec: ClusterSpec | None = None) -> ClusterSpec:
    """Have a cluster's snapshots copied to S3."""
    spec = spec or a_spec()
    return replace(spec, etcd=replace(spec.etcd, s3=S3))


def in_the_internet(spec: ClusterSpec | None = None) -> ClusterSpec:
    """Have a cluster's nodes meet at their public addresses."""
    encrypted = KubernetesNetworkSpec(encryption=True)
    return replace(spec or a_spec(), network=NetworkSpec(private=False), kubernetes_network=encrypted)


ENDPOINT = "postgres://k3s:a-password-of-a-database@10.250.0.5:5432/kine?sslmode=require"


def on_database(spec: ClusterSpec | None = None, endpoint: str = ENDPOINT) -> ClusterSpec:
    """Have a cluster keep its data in an external database."""
    return replace(spec or a_spec(), database=DatabaseSpec(endpoint=Secret(endpoint)))


def _master(index: int) -> MasterSpec:
    return MasterSpec(
        name=naming.master_name(CLUSTER, index),
        index=index,
        location=_LOCATION,
        instance_type=_TYPE,
        image=_IMAGE,
        placement_group=naming.masters_placement_group(CLUSTER, 1),
    )


def _pool(workers: int) -> PoolSpec:
    return PoolSpec(
        name="small",
        instance_type=_TYPE,
        location=_LOCATION,
        image=_IMAGE,
        count=workers,
        workers=tuple(_worker(index) for index in range(1, workers + 1)),
    )


def _worker(index: int) -> WorkerSpec:
    group = naming.placement_group_index(index)
    return WorkerSpec(
        name=naming.worker_name(CLUSTER, "small", index),
        index=index,
        location=_LOCATION,
        instance_type=_TYPE,
        image=_IMAGE,
        placement_group=naming.workers_placement_group(CLUSTER, "small", group) if group <= _GROUPS else None,
        pool="small",
    )
