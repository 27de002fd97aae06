"""Steps of `delete`: identity checked, `phase=deleting` written first, the record removed last."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkDeleting:
    """Write `phase=deleting` into the birth record of the cluster `target`."""

    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkForDeletion:
    """Write on a volume or load_balancer (`kind`) that it goes with the cluster of this kube-system UID.

    Its servers prove whose it is only while they are there, and a deletion may be cut off in between.
    """

    target: str
    kind: str
    resource_id: int
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteServer:
    """Delete the server `target` by its id.

    Where a master `via` is named, it is asked in the same moment whether a volume lies on that server and nowhere else.
    """

    target: str
    server_id: int
    via: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteResource:
    """Delete a resource by kind and id: load_balancer, firewall, network, placement_group, ssh_key or volume."""

    target: str
    kind: str
    resource_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseBirth:
    """Close the birth of the cluster `target` in the local journal and remove its kubeconfig if `kubeconfig`.

    `ca` is the CA hash in a kubeconfig that stays: from then on it is known to be a deleted cluster's.
    """

    target: str
    kubeconfig: bool
    ca: str | None = None
