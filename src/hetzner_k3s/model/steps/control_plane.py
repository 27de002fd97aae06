"""Steps about the control plane: birth, join, and the repair of a lost master."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.model.identity import BirthRecord
from hetzner_k3s.model.operations.members import MembersPrecondition


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBirth:
    """Write the birth record on the masters' first placement group, our network and firewall, and every master.

    `target` is the phase. For `born` without a lineage the handler mints one.
    """

    target: str
    record: BirthRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class InitControlPlane:
    """Give birth to the cluster on the server `target`: permitted once in a cluster's life.

    See docs/architecture.md#law-3.

    With `anew` its first start was cut off before anything was there, and what is left of it is put aside.
    """

    target: str
    server_id: int
    anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinControlPlane:
    """Have the server `target` join through the healthy master `via` (a server id), and promote it.

    `server_url` is what its `config.yaml` points to.
    """

    target: str
    server_id: int
    via: int
    server_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WipeJoiner:
    """Put the data of the former member `target` aside, so that it can join anew.

    Its host asks the supervisor at `server_url` again whether a member of its name or `address` is listed.
    """

    target: str
    server_id: int
    server_url: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkMember:
    """Record that the master `target` is a joined voter: label on the server, annotation on its Node.

    `rewrite_server_url` is set where its `config.yaml` names no server or a dead one; rewritten without a restart.
    """

    target: str
    server_id: int
    via: int
    record: BirthRecord
    rewrite_server_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveSnapshot:
    """Save a snapshot on the healthy master `via` before something is removed; `target` is its name."""

    target: str
    via: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMember:
    """Remove the dead etcd member of the lost master `target` through the gateway of the healthy master `via`.

    A server of that name (its successor, or itself without its data) is no member any more, and its label goes first.
    """

    target: str
    member_id: str
    via: int
    precondition: MembersPrecondition
