"""How far a server has come, or what is wrong with it: by its power, its SSH, its key, and its k3s."""

from __future__ import annotations

from enum import Enum

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, HostKeyKind, Unreachable
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.state import ClusterState


class Stage(Enum):
    """How far a server has come, or what is wrong with it."""

    ABSENT = "absent"
    BOOTING = "booting"
    UNSECURED = "answers with its boot key"
    BARE = "without k3s"
    READY = "ready to join"
    JOINING = "joining"
    EMPTIED = "without its data"
    UNMARKED = "joined, not recorded yet"
    MEMBER = "member"
    OFF = "powered off"
    CHANGING = "changing"
    SILENT = "unreachable"
    KEY_CHANGED = "answers with another host key"
    DENIED = "refuses our key"
    REBUILT = "rebuilt"
    STOPPED = "stopped"
    SICK = "not ready"
    LOCKED_OUT = "kept from starting by a token that was rotated"
    HELD = "stopped and masked"
    RESTORED = "restored, its k3s without its agent yet"


NEVER_STARTED = frozenset({Stage.ABSENT, Stage.BOOTING, Stage.UNSECURED, Stage.BARE, Stage.READY})
"""Stages in which no k3s of ours ever ran on what has the name now."""

JOINED = frozenset({Stage.UNMARKED, Stage.MEMBER})
"""Stages of a master that serves the cluster, whether that was recorded or not."""

TROUBLED = frozenset(
    {
        Stage.OFF,
        Stage.CHANGING,
        Stage.STOPPED,
        Stage.SILENT,
        Stage.KEY_CHANGED,
        Stage.DENIED,
        Stage.REBUILT,
        Stage.SICK,
    }
)
"""Stages in which a server may hold data and we cannot, or must not, go on by ourselves."""


def labelled_member(server: Server) -> bool:
    """Check whether we recorded that this server's master had joined."""
    return server.labels.get(naming.LABEL_STATE) == naming.STATE_MEMBER


def contact_stage(server: Server, state: ClusterState, committed: bool) -> tuple[Stage, str]:
    """Return how far we can reach a server; BARE means that it is reached by its final key.

    `committed` tells that it joined (or was chosen as seed) before: then silence is an alarm, not a slow boot.
    """
    if server.status is not ServerStatus.RUNNING:
        going = committed or server.status is ServerStatus.DELETING
        return (_without_power(server), _shown_as(server)) if going else (Stage.BOOTING, "")
    reading = state.hosts.get(server.id)
    if isinstance(reading, Known):
        return _key_stage(reading.value.key, committed)
    if isinstance(reading, Unreachable):
        return _silence(reading, committed)
    return Stage.SILENT if committed else Stage.BOOTING, "not looked at yet"


def _without_power(server: Server) -> Stage:
    match server.status:
        case ServerStatus.OFF:
            return Stage.OFF
        case ServerStatus.OTHER:
            return Stage.SILENT
        case _:
            return Stage.CHANGING


def _shown_as(server: Server) -> str:
    return f"Hetzner shows it as {server.status.value}"


def _key_stage(key: HostKeyKind, committed: bool) -> tuple[Stage, str]:
    match key:
        case HostKeyKind.FINAL:
            return Stage.BARE, ""
        case HostKeyKind.NEXT:
            return Stage.UNSECURED, "its host key is being replaced"
        case HostKeyKind.BOOT if committed:
            return Stage.REBUILT, "it answers with the key of its first boot, so its disk is new"
        case HostKeyKind.BOOT:
            return Stage.UNSECURED, ""


def _silence(reading: Unreachable, committed: bool) -> tuple[Stage, str]:
    match reading.stage:
        case SshStage.HOST_KEY:
            # A first boot answers with the image's key until cloud-init is done; SecureHost waits, and sends nothing.
            return (Stage.KEY_CHANGED if committed else Stage.BOOTING), reading.why
        case SshStage.AUTH:
            return Stage.DENIED, reading.why
        case SshStage.TCP | SshStage.SESSION | SshStage.ANSWER:
            return (Stage.SILENT if committed else Stage.BOOTING), reading.why


def k3s_stage(server: Server, facts: HostFacts, node: KubeNode | None, *, api_read: bool) -> tuple[Stage, str]:
    """Return how far k3s has come on a master that is reached by its final key."""
    if facts.held:
        return Stage.HELD, "k3s was stopped for a quorum reset and must not start"
    if facts.agentless:
        return Stage.RESTORED, "the Nodes of the lost masters have yet to be deleted"
    if facts.serves:
        return _voter_stage(server, facts, node, api_read=api_read)
    if labelled_member(server) and not facts.disk.empty:
        return _fallen_stage(facts)
    if not (facts.boot_finished and facts.k3s_version and facts.server_unit.installed):
        return Stage.BARE, ""
    if facts.disk.empty and facts.server_unit.active in {"inactive", "failed"}:
        return Stage.READY, ""
    return Stage.JOINING, ""


def _voter_stage(server: Server, facts: HostFacts, node: KubeNode | None, *, api_read: bool) -> tuple[Stage, str]:
    if facts.etcd.corrupt:
        return Stage.SICK, "its etcd reports that its data is corrupt"
    if not labelled_member(server):
        return Stage.UNMARKED, ""
    if facts.server_unit.active != "active":
        return Stage.SICK, f"{_well(facts)}, but its k3s unit is {facts.server_unit.active}"
    if not api_read or (node and node.ready and node.server_id == server.id):
        return Stage.MEMBER, ""
    if node is None or node.server_id != server.id:
        return Stage.UNMARKED, "its Node does not carry its server id"
    return Stage.SICK, f"{_well(facts)}, but its Node is NotReady"


def _well(facts: HostFacts) -> str:
    return "its API reads the database" if facts.on_database else "its etcd is healthy"


def _fallen_stage(facts: HostFacts) -> tuple[Stage, str]:
    """Return what is wrong with a master that had joined and is no voter now."""
    if facts.on_database:
        return _fallen_off_database(facts)
    if holds_no_member(facts):
        return Stage.EMPTIED, "it was removed" if facts.disk.tombstone else "its datastore is gone from its disk"
    if facts.disk.wal and facts.server_unit.active in {"inactive", "failed"}:
        return Stage.STOPPED, f"k3s is {facts.server_unit.active}"
    return Stage.SICK, _sickness(facts)


def _fallen_off_database(facts: HostFacts) -> tuple[Stage, str]:
    """Return what is wrong with a master that had joined and does not serve.

    Its files are those that any master gets.
    """
    if facts.disk.server_ca is None:
        return Stage.EMPTIED, "its files are gone from its disk"
    if facts.server_unit.active in {"inactive", "failed"}:
        return Stage.STOPPED, f"k3s is {facts.server_unit.active}"
    return Stage.SICK, f"k3s is {facts.server_unit.active}, and its API does not read the database"


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
