"""Steps about Kubernetes Nodes."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.kubernetes.node_labels import NodeChange


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteNode:
    """Delete the Node of a server that is gone, by its UID, and its node-password secret.

    `uid` is None when only the secret is left. `release` takes k3s' finalizers off where k3s does not let it go at
    once: its etcd member is gone, and the secret goes with this step (docs/facts/k3s.md#finalizers). `emptied` tells
    that it was drained: whether it still is, is looked at again in the same moment, the volumes on its disk too unless
    they may go (`volumes_may_go`).
    """

    target: str
    uid: str | None
    via: int
    release: bool = False
    emptied: bool = False
    volumes_may_go: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelNode:
    """Give the Node `target`, if it still has this UID, the labels and taints of the file; others stay as they are."""

    target: str
    uid: str
    via: int
    change: NodeChange


@dataclass(frozen=True, slots=True, kw_only=True)
class PointWorker:
    """Name the master at `server_url` in the configuration of the worker `target`; its agent is not restarted."""

    target: str
    server_id: int
    server_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWorker:
    """Have the server `target` join as an agent, wait until its Node is Ready and record its server id there."""

    target: str
    server_id: int
    via: int
    server_url: str
