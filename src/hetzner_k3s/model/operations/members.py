"""The members of etcd: listed, led, removed, taken in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hetzner_k3s.model.host import Member
from hetzner_k3s.model.operations.operation import Done, Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersPrecondition:
    """The member list of a decision; the script reads it again in the same call (docs/architecture.md#law-6)."""

    ids: tuple[str, ...]
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember(Operation[Done]):
    """Remove a dead etcd member through the local gateway; already gone is success.

    Answers `precondition_changed` when the list, the leader, a learner or the kube-system UID is not as decided on.
    """

    mutating: ClassVar[bool] = True
    member_id: str
    precondition: MembersPrecondition
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RetireMember(Operation[Done]):
    """Remove a living etcd member through the gateway of another one; already gone is success.

    Answers `precondition_changed` when the list or the kube-system UID is not as decided on, a learner is in it, the
    member leads or is this host's own, or any voter that would be left is not connected: they are all that is left.
    """

    mutating: ClassVar[bool] = True
    member_id: str
    precondition: MembersPrecondition
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeJoiner(Operation[Done]):
    """Stop the k3s of a former member and put `server/` aside; its snapshots stay where they are.

    Answers `precondition_changed` when its etcd serves, or when the cluster that answers at `server_url` to this host's
    own token lists a member of this host's name or at `address`.
    """

    mutating: ClassVar[bool] = True
    server_url: str
    address: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveLeader(Operation[Done]):
    """Hand leadership over to the voter `heir` (a member id) if this host's member leads; if it does not, all is well.

    Answers `precondition_changed` when the heir is no voter, or not connected.
    """

    mutating: ClassVar[bool] = True
    heir: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteLearner(Operation[Done]):
    """Promote the learner with this peer address, every 50 ms until it is in sync or is a voter; `deadline` in seconds.

    Run on a healthy voter (docs/facts/k3s.md#promotion).
    """

    peer_address: str
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMembers(Operation[tuple[Member, ...]]):
    """Read the linearizable member list through the local gateway."""
