"""Who joins, who is promoted, who is removed: k3s' decisions about etcd's members. Pure.

See docs/facts/etcd.md#adding-members and docs/facts/etcd.md#removing-members.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import urlsplit

from hetzner_k3s.lab.k3s.etcd.port import Member


class Join(Enum):
    """What a joiner does about the member list."""

    ADD = "add as learner"
    ADOPT = "already listed: start without adding"


class DuplicateName(ValueError):
    """Another member carries this node's name; k3s exits."""


DUPLICATE = "etcd cluster join failed: duplicate node name found, please use a unique name for this node"

# Everything else that a member add answers ends the process (`pollJoin`).
RETRIED = (
    "etcdserver: too many learner members in cluster",
    "etcdserver: unhealthy cluster",
    "etcdserver: request timed out",
    "etcdserver: leader changed",
    "etcdserver: no leader",
    "context deadline exceeded",
    "failed to get etcd MemberList",
)


def node_of(member_name: str) -> str:
    """Return the node a member name belongs to: all but the random suffix."""
    return member_name.rpartition("-")[0]


def address_of(member: Member) -> str:
    """Return the host part of a member's first peer URL."""
    return (urlsplit(member.peer_urls[0]).hostname or "") if member.peer_urls else ""


def plan_join(members: Iterable[Member], name: str, address: str) -> Join:
    """Decide about joining a cluster that lists these members.

    Args:
        members: the cluster's list.
        name: this member's name, `<node>-<8 hex>`.
        address: this node's private address.

    Raises:
        DuplicateName: a member of this node exists under another member name (an earlier life of this host).
    """
    for member in members:
        if address_of(member) == address and member.name in ("", name):
            return Join.ADOPT
        if member.name != name and node_of(member.name) == node_of(name):
            raise DuplicateName(DUPLICATE)
    return Join.ADD


def is_retried(message: str) -> bool:
    """Check whether a joiner waits a second and asks again instead of giving up."""
    return any(text in message for text in RETRIED)


def peers_with(members: Iterable[Member], name: str, address: str) -> tuple[str, ...]:
    """List `name=peer URL` of all started members and of this joiner."""
    others = [f"{m.name}={m.peer_urls[0]}" for m in members if m.name and address_of(m) != address]
    return (*others, f"{name}=https://{address}:2380")


def to_promote(members: Iterable[Member]) -> tuple[Member, ...]:
    """Choose what the leader's tick tries to promote: every started learner.

    Whether its host still lives is not asked: a dead learner that had caught up becomes a dead voter.
    """
    return tuple(member for member in members if member.learner and member.name)


def to_remove(members: Iterable[Member], member_name: str, address: str) -> Member | None:
    """Find the member of a deleted Node: name **and** address must match, else it is somebody else's."""
    for member in members:
        if member.name == member_name and address_of(member) == address:
            return member
    return None


def connection_stalls(voters_at_test: int, learner: bool) -> bool:
    """Check whether the joiner's connection test hangs.

    It does when it starts before the promotion, and always in a cluster that grows from one to two
    (docs/facts/k3s.md#promotion).
    """
    return learner or voters_at_test == 2


@dataclass(frozen=True, slots=True)
class VoterCondition:
    """The `EtcdIsVoter` condition of a Node."""

    status: str
    reason: str
    message: str


VOTER = VoterCondition("True", "MemberNotLearner", "Node is a voting member of the etcd cluster")
LEARNER = VoterCondition("False", "MemberIsLearner", "Node has not been promoted to voting member of the etcd cluster")
NOT_A_MEMBER = VoterCondition("False", "NotAMember", "Node is not a member of the etcd cluster")


def voter_condition(members: Iterable[Member], member_name: str) -> VoterCondition:
    """Describe a Node by the member its annotation names."""
    for member in members:
        if member.name == member_name:
            return LEARNER if member.learner else VOTER
    return NOT_A_MEMBER
