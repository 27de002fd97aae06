"""The unit of k3s on a host: started, stopped, waited for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from hetzner_k3s.model.host import HostFacts
from hetzner_k3s.model.operations.operation import Done, K3sRole, Operation


class Milestone(Enum):
    """How far a starting k3s has come."""

    DATASTORE = "datastore"
    """Token file written and etcd healthy: further masters may start."""
    IDENTITY = "identity"
    """The kube-system namespace exists, so its UID can be read."""
    ACTIVE = "active"
    """systemd calls the unit active."""
    STEADY = "steady"
    """Active, as a server its own etcd healthy and its API ready, and not started again by systemd for 15 s."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartK3s(Operation[Done]):
    """Enable and start the unit without waiting for it; a unit that runs is left alone.

    `birth` lays the one-time permit `/run/hetzner-k3s/birth` first. Refused on a host that holds data when `birth`.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    birth: bool
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitK3s(Operation[HostFacts]):
    """Wait on the host until a milestone is reached (seconds), then look; a known fatal log line ends the wait."""

    role: K3sRole
    milestone: Milestone
    deadline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StopK3s(Operation[Done]):
    """Stop and disable k3s: as a server where its etcd was removed, as an agent where its Node was deleted.

    A removed server that is started anew joins again by itself; an agent registers its Node only when it starts.
    Answers `precondition_changed` where a server's etcd still follows a leader.
    """

    mutating: ClassVar[bool] = True
    role: K3sRole
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartBirth(Operation[Done]):
    """Begin a birth anew whose first start was cut off right after etcd had begun its log, with the CA that there is.

    `server/db` goes to `server/db-cut-off-<unix>` whole; nothing is deleted. Answers `precondition_changed` where k3s
    runs, did not end with those very words, is to join somebody, or snapshots tell that a cluster has lived here.
    """

    mutating: ClassVar[bool] = True
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWithoutAgent(Operation[Done]):
    """Start k3s on a restored host without a kubelet: beside the Node of a lost server it would end again and again.

    It stays so, whoever starts it, until StartWithAgent or WriteConfig. `precondition_changed` where no restored data
    lies or k3s runs with its agent (docs/facts/k3s.md#restored-node).
    """

    mutating: ClassVar[bool] = True
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StartWithAgent(Operation[Done]):
    """Start a k3s that runs without its agent anew, with it, and enable its unit; one that has it is left alone."""

    mutating: ClassVar[bool] = True
    fence: int
