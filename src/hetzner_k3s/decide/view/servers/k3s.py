"""How far k3s has come on a host that is reached, or what is wrong with it there."""

from __future__ import annotations

from enum import Enum

from hetzner_k3s.decide.view.servers.membership import Membership, labelled_member
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.kube import KubeNode


class K3s(Enum):
    """How far k3s has come on a host; the values are what the output says."""

    MISSING = "without k3s"
    READY = "ready to join"
    JOINING = "joining"
    SERVING = "serving"
    STOPPED = "stopped"
    SICK = "not ready"
    EMPTIED = "without its data"
    LOCKED_OUT = "kept from starting by a token that was rotated"
    HELD = "stopped and masked"
    RESTORED = "restored, its k3s without its agent yet"


NEVER_RAN = frozenset({K3s.MISSING, K3s.READY})
"""No k3s of ours ever ran on this disk."""

UNWELL = frozenset({K3s.STOPPED, K3s.SICK})
"""k3s may hold data, and does not serve it."""


def k3s_of_master(server: Server, facts: HostFacts, node: KubeNode | None, membership: Membership) -> tuple[K3s, str]:
    """Return how far k3s has come on a master, and what is wrong with it."""
    if facts.held:
        return K3s.HELD, "k3s was stopped for a quorum reset and must not start"
    if facts.agentless:
        return K3s.RESTORED, "the Nodes of the lost masters have yet to be deleted"
    if facts.serves:
        return _of_voter(server, facts, node, membership)
    if labelled_member(server) and not facts.disk.empty:
        return _of_fallen(facts)
    if not (facts.boot_finished and facts.k3s_version and facts.server_unit.installed):
        return K3s.MISSING, ""
    if facts.disk.empty and facts.server_unit.active in {"inactive", "failed"}:
        return K3s.READY, ""
    return K3s.JOINING, ""


def k3s_of_worker(facts: HostFacts, node: KubeNode | None) -> tuple[K3s, str]:
    """Return how far k3s has come on a worker; `node` is the one that carries its id, if there is one."""
    if node is not None:
        return (K3s.SERVING, "") if node.ready else (K3s.SICK, "its Node is NotReady")
    if not (facts.boot_finished and facts.k3s_version and facts.agent_unit.installed):
        return K3s.MISSING, ""
    if facts.disk.agent_ca is None and facts.agent_unit.active in {"inactive", "failed"}:
        return K3s.READY, ""
    return K3s.JOINING, ""


def _of_voter(server: Server, facts: HostFacts, node: KubeNode | None, membership: Membership) -> tuple[K3s, str]:
    if facts.etcd.corrupt:
        return K3s.SICK, "its etcd reports that its data is corrupt"
    if not labelled_member(server):
        return K3s.SERVING, ""
    if facts.server_unit.active != "active":
        return K3s.SICK, f"{_well(facts)}, but its k3s unit is {facts.server_unit.active}"
    if membership is not Membership.RECORDED:
        return K3s.SERVING, "its Node does not carry its server id"
    if node is not None and not node.ready:
        return K3s.SICK, f"{_well(facts)}, but its Node is NotReady"
    return K3s.SERVING, ""


def _well(facts: HostFacts) -> str:
    return "its API reads the database" if facts.on_database else "its etcd is healthy"


def _of_fallen(facts: HostFacts) -> tuple[K3s, str]:
    """Return what is wrong with a master that had joined and is no voter now."""
    if facts.on_database:
        return _of_fallen_off_database(facts)
    if holds_no_member(facts):
        return K3s.EMPTIED, "it was removed" if facts.disk.tombstone else "its datastore is gone from its disk"
    if facts.disk.wal and facts.server_unit.active in {"inactive", "failed"}:
        return K3s.STOPPED, f"k3s is {facts.server_unit.active}"
    return K3s.SICK, _sickness(facts)


def _of_fallen_off_database(facts: HostFacts) -> tuple[K3s, str]:
    """Return what is wrong with a master that had joined and does not serve.

    Its files are those that any master gets.
    """
    if facts.disk.server_ca is None:
        return K3s.EMPTIED, "its files are gone from its disk"
    if facts.server_unit.active in {"inactive", "failed"}:
        return K3s.STOPPED, f"k3s is {facts.server_unit.active}"
    return K3s.SICK, f"k3s is {facts.server_unit.active}, and its API does not read the database"


def holds_no_member(facts: HostFacts) -> bool:
    """Check whether nothing on a host can be a living member of etcd: no log and no etcd, or one that was retired.

    Only its final key proves whose disk that is. A process whose files were deleted under it still has them open.
    """
    retired = facts.disk.tombstone and facts.etcd.member_id is None
    gone = not facts.disk.wal and facts.etcd.healthy is None and facts.etcd.member_id is None
    return facts.key is HostKeyKind.FINAL and (retired or gone)


def _sickness(facts: HostFacts) -> str:
    if facts.etcd.healthy is None:
        return f"k3s is {facts.server_unit.active}, its etcd does not answer"
    if not facts.etcd.healthy:
        return f"its etcd says {facts.etcd.reason or 'unhealthy'}"
    return "its etcd answers, but is no voter that sees a leader"
