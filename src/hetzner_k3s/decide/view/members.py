"""The member list held against the machines: who is dead, who lives, and whose fate is not proven."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.decide.view.control_plane import ControlPlane, MasterView
from hetzner_k3s.decide.view.node_machine import doubt
from hetzner_k3s.decide.view.servers.contact import Barrier
from hetzner_k3s.decide.view.servers.k3s import holds_no_member
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.state import ClusterState


@dataclass(frozen=True, slots=True)
class DeadMember:
    """A member of the list whose machine or data is proven gone.

    `master` is the master it belonged to, empty for a learner that never started.
    """

    member: Member
    master: str


@dataclass(frozen=True, slots=True)
class StrayMember:
    """A member that we can neither find a living server for nor prove dead; `transient` ones clear up by themselves."""

    member: Member
    why: str
    transient: bool = False


Verdict = DeadMember | StrayMember | None


def sort_members(
    control_plane: ControlPlane, state: ClusterState, joining: frozenset[str]
) -> tuple[tuple[DeadMember, ...], tuple[StrayMember, ...]]:
    """Tell the dead members from those we must not touch; living ones are in neither tuple.

    Masters in `joining` are under way: what their hosts told may be older than the list that names them already.
    """
    verdicts = [
        _judge(member, control_plane, state) for member in control_plane.members if not _is_one_of(member, joining)
    ]
    dead = tuple(v for v in verdicts if isinstance(v, DeadMember))
    stray = tuple(v for v in verdicts if isinstance(v, StrayMember))
    return dead, stray


def _is_one_of(member: Member, names: frozenset[str]) -> bool:
    return any(_named_after(member, name) for name in names)


def _judge(member: Member, control_plane: ControlPlane, state: ClusterState) -> Verdict:
    if any(m.facts and m.facts.etcd.member_id == member.id for m in control_plane.all_masters):
        return None  # its own host speaks for it
    holder = next((s for s in state.view.servers if control_plane.internal_ips.of(s) == member.address), None)
    if not member.name:
        return _judge_unstarted(member, holder, control_plane)
    owner = next((m for m in control_plane.all_masters if _named_after(member, m.name)), None)
    if owner is None:
        return StrayMember(member, "no master of the file has its name")
    if holder is not None and holder.name != owner.name and not _gone_by_id(owner, control_plane, state):
        why = _judge_holder(holder, state)
        if why is not None:
            return StrayMember(member, why, transient=_not_looked_at(holder, state))
    if owner.barrier is Barrier.UNSECURED and control_plane.master(owner.name) is None:
        return None  # rebuilt, and nobody gives what is beyond the file a host key; `permission` speaks of it
    if not (_may_be_replaced(owner, control_plane, state) or (_data_is_gone(owner) and not member.learner)):
        return _judge_by_server(member, owner) if control_plane.master(owner.name) else None
    return _proof(member, owner, control_plane, state)


def _named_after(member: Member, server: str) -> bool:
    return member.node == server


def _judge_unstarted(member: Member, holder: Server | None, control_plane: ControlPlane) -> Verdict:
    if holder is not None and any(m.name == holder.name for m in control_plane.all_masters):
        return None  # k3s adopts the unstarted member of its own address (docs/facts/k3s.md#unstarted-member)
    if holder is None and member.learner:
        return DeadMember(member, "")  # it has no data and no vote; k3s itself gives it up after five minutes
    return StrayMember(member, "it never started, and no master holds its address")


def _gone_by_id(owner: MasterView, control_plane: ControlPlane, state: ClusterState) -> bool:
    """Check whether the Node names the member's machine and that one is proven gone: then anybody may hold its address.

    Servers are told apart by their ids, never by addresses (docs/facts/recovery.md#servers-by-id).
    """
    node = control_plane.kube.node(owner.name) if control_plane.kube else None
    return (
        node is not None and node.machine is not None and doubt(node, owner, state, control_plane.internal_ips) is None
    )


def _judge_holder(holder: Server, state: ClusterState) -> str | None:
    """Return why another server at a member's address leaves its fate open.

    A worker of ours there is a proof, not a doubt: an address has one holder, so the old machine has left the network.
    """
    facts = state.facts(holder.id)
    if _is_worker(holder) and facts is not None and not (facts.server_unit.installed or facts.disk.wal):
        return None
    return f"its address is now held by {holder.name}"


def _not_looked_at(holder: Server, state: ClusterState) -> bool:
    return _is_worker(holder) and state.facts(holder.id) is None


def _is_worker(server: Server) -> bool:
    return server.labels.get(naming.LABEL_ROLE) == naming.ROLE_WORKER


def _may_be_replaced(owner: MasterView, control_plane: ControlPlane, state: ClusterState) -> bool:
    """Check whether what has the member's name now is nothing, or proven to be another, empty machine.

    A server that was never looked at could be the member's own: only its id, told by the Node, makes it another one.
    """
    if owner.empty:
        return owner.never_started
    node = control_plane.kube.node(owner.name) if control_plane.kube else None
    if owner.barrier is not Barrier.BOOTING or node is None or node.machine is None:
        return False
    return doubt(node, owner, state, control_plane.internal_ips) is None


def _is_of(node: KubeNode, owner: MasterView) -> bool:
    """Check whether a Node is that of this very server, which told itself that it holds no member any more."""
    return owner.server is not None and node.machine == owner.server.id and _data_is_gone(owner)


def _data_is_gone(owner: MasterView) -> bool:
    return owner.facts is not None and holds_no_member(owner.facts)


def _doubted(
    member: Member, node: KubeNode | None, owner: MasterView, control_plane: ControlPlane, state: ClusterState
) -> StrayMember | None:
    if node is None or _is_of(node, owner):
        return None
    if owner.barrier is Barrier.UNSECURED and owner.server is not None and node.machine == owner.server.id:
        return StrayMember(member, f"{owner.name} was rebuilt, and has yet to get its host key", transient=True)
    why = doubt(node, owner, state, control_plane.internal_ips)
    return None if why is None else StrayMember(member, why)


def _judge_by_server(member: Member, owner: MasterView) -> Verdict:
    """Leave a member alone whose machine may be the one of its name; the gates speak of one that is in trouble."""
    if owner.barrier is Barrier.BOOTING:
        return StrayMember(member, f"{owner.name} has not been looked at yet", transient=True)
    return None


def _proof(member: Member, owner: MasterView, control_plane: ControlPlane, state: ClusterState) -> Verdict:
    """Ask for every proof: complete listing (a gate), 404 by id, and no survivor connected to it.

    See docs/architecture.md#absence.
    """
    if control_plane.kube is None:
        return StrayMember(member, "the Kubernetes API that names its server could not be read", transient=True)
    doubted = _doubted(member, control_plane.kube.node(owner.name), owner, control_plane, state)
    if doubted is not None:
        return doubted
    connected = [m.name for m in control_plane.all_masters if m.facts and member.id in m.facts.etcd.active_peers]
    if connected:
        return StrayMember(member, f"the etcd of {', '.join(connected)} is still connected to it", transient=True)
    return DeadMember(member, owner.name)
