"""Steps that let go what is beyond the file: all by consent, each naming ids that are never given twice."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.operations.members import MembersPrecondition


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmarkMember:
    """Take the label off the server of the master `target` by which the API load balancer finds it."""

    target: str
    server_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnmarkSurge:
    """Take the label off the server of the worker `target` that lets it go after a rollout: the file wants it."""

    target: str
    server_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireMember:
    """Remove the living etcd member of the master `target` through the healthy master `via`, and stop its k3s.

    If it leads by then, it hands leadership over to the voter `heir` (a member id) first: who leads changes by itself.
    """

    target: str
    server_id: int
    member_id: str
    via: int
    heir: str
    precondition: MembersPrecondition


@dataclass(frozen=True, slots=True, kw_only=True)
class CordonNode:
    """Let nothing new be scheduled on the Node `target`, and note there that it is leaving."""

    target: str
    via: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainNode:
    """Evict the pods of the Node `target` as its disruption budgets allow, and note there that it is drained.

    All have to be gone `within` so many seconds.

    `answers` tells that its kubelet does: of a silent one nobody will ever confirm that a pod has ended. Where
    `volumes_may_go` is set, or its disk stays, the volumes on that do not stand in the way.
    """

    target: str
    via: int
    answers: bool
    within: float
    volumes_may_go: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UncordonNode:
    """Take our mark off the Node `target`, which is wanted again: pods are scheduled there if they were before."""

    target: str
    via: int
