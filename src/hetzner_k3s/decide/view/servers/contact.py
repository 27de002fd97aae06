"""Whether a server's host answers by its final key, and what is in the way where it does not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hetzner_k3s.decide.view.servers.k3s import K3s
from hetzner_k3s.model.cloud import Server, ServerStatus
from hetzner_k3s.model.errors import SshStage
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.host import HostFacts, HostKeyKind, Unreachable
from hetzner_k3s.model.state import ClusterState


class Barrier(Enum):
    """What keeps us from working on a server's host; the values are what the output says.

    DETACHED is a server that joined and has no address in the cluster's network: whatever answers, its peers do not
    reach it.
    """

    ABSENT = "absent"
    BOOTING = "booting"
    UNSECURED = "answers with its boot key"
    OFF = "powered off"
    CHANGING = "changing"
    SILENT = "unreachable"
    KEY_CHANGED = "answers with another host key"
    DENIED = "refuses our key"
    REBUILT = "rebuilt"
    DETACHED = "not ready"


BEFORE_FIRST_CONTACT = frozenset({Barrier.ABSENT, Barrier.BOOTING, Barrier.UNSECURED})
"""Nothing of a cluster was ever put on what has the name now: there is no server, or its host has yet to be secured."""

CONTACT_LOST = frozenset(Barrier) - BEFORE_FIRST_CONTACT
"""The server may hold data that we cannot see."""


@dataclass(frozen=True, slots=True)
class NotReached:
    """Nothing is known of k3s there."""

    why: Barrier
    detail: str = ""

    @property
    def lost(self) -> bool:
        """Check whether the server may hold data that we cannot see."""
        return self.why in CONTACT_LOST


@dataclass(frozen=True, slots=True)
class Reached:
    """The host answers by its final key, so what its k3s does is known."""

    k3s: K3s
    detail: str = ""


Contact = Reached | NotReached


def reach(server: Server, state: ClusterState, *, joined: bool) -> HostFacts | NotReached:
    """Return what a host told that answers by its final key; of any other, what keeps us from working on it.

    `joined` says that it joined (or was chosen as seed) before: then silence is an alarm, not a slow boot.
    """
    if server.status is not ServerStatus.RUNNING:
        going = joined or server.status is ServerStatus.DELETING
        return NotReached(_without_power(server), _shown_as(server)) if going else NotReached(Barrier.BOOTING)
    reading = state.hosts.get(server.id)
    if isinstance(reading, Known):
        return _barrier_of(reading.value.key, joined) or reading.value
    if isinstance(reading, Unreachable):
        return NotReached(_silence(reading.stage, joined), reading.why)
    return NotReached(Barrier.SILENT if joined else Barrier.BOOTING, "not looked at yet")


def _without_power(server: Server) -> Barrier:
    match server.status:
        case ServerStatus.OFF:
            return Barrier.OFF
        case ServerStatus.OTHER:
            return Barrier.SILENT
        case _:
            return Barrier.CHANGING


def _shown_as(server: Server) -> str:
    return f"Hetzner shows it as {server.status.value}"


def _barrier_of(key: HostKeyKind, joined: bool) -> NotReached | None:
    match key:
        case HostKeyKind.FINAL:
            return None
        case HostKeyKind.NEXT:
            return NotReached(Barrier.UNSECURED, "its host key is being replaced")
        case HostKeyKind.BOOT if joined:
            return NotReached(Barrier.REBUILT, "it answers with the key of its first boot, so its disk is new")
        case HostKeyKind.BOOT:
            return NotReached(Barrier.UNSECURED)


def _silence(ended: SshStage, joined: bool) -> Barrier:
    match ended:
        case SshStage.HOST_KEY:
            # A first boot answers with the image's key until cloud-init is done; SecureHost waits, and sends nothing.
            return Barrier.KEY_CHANGED if joined else Barrier.BOOTING
        case SshStage.AUTH:
            return Barrier.DENIED
        case SshStage.TCP | SshStage.SESSION | SshStage.ANSWER:
            return Barrier.SILENT if joined else Barrier.BOOTING
