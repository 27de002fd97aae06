"""What the loop has to know of each type of step, in one table: no rule and no loop asks for a step by its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Flag, auto
from typing import Final, Protocol, runtime_checkable

from hetzner_k3s.model import steps
from hetzner_k3s.model.steps import Step


class Occupies(Flag):
    """What a step has to itself on its target: two steps that need the same go one after another."""

    NOTHING = 0
    HOST = auto()
    """The host: it works there by SSH, or makes or starts it."""
    DEPARTURE = auto()
    """The way out of what has this name."""


class Look(Flag):
    """What may be another one when a step has ended, and is looked at again."""

    NOTHING = 0
    SERVERS = auto()
    """The servers of the listing."""
    HOST = auto()
    """The host that the step was about."""
    MASTERS = auto()
    """The hosts of all masters."""
    HOSTS = auto()
    """The hosts of all servers."""
    KUBE = auto()
    """What the Kubernetes API tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The traits of a type of step.

    `joins` says that its target becomes a part of the cluster, `clears` that it makes room for a successor of that
    name: nothing joins meanwhile. Of steps that are `disruptive` (they change who the control plane is) there is one
    at a time; those that are `alike` may run beside others of their own type. `look` is None where the scope of the
    plan decides what is looked at: of the control plane all masters, of workers and add-ons what the API tells. One
    that is begun `once` a run is not begun again where it is still wanted: the next time would not be another. What is
    `apart` changes neither servers nor hosts nor the record, and may be done twice. What `rolls` is one of a series,
    which ends with its first failure. A step takes about `seconds`, as measured in the lab at its typical latency.
    """

    occupies: Occupies = Occupies.NOTHING
    joins: bool = False
    clears: bool = False
    disruptive: bool = False
    alike: bool = False
    look: Look | None = None
    once: bool = False
    apart: bool = False
    rolls: bool = False
    seconds: float = 1.0


_HOST, _DEPARTURE = Occupies.HOST, Occupies.DEPARTURE

TRAITS: Final[Mapping[type[Step], Traits]] = {
    steps.EnsureSshKey: Traits(),
    steps.EnsureNetwork: Traits(seconds=1),
    steps.EnsureFirewall: Traits(seconds=8),
    steps.EnsurePlacementGroup: Traits(),
    steps.EnsureLoadBalancer: Traits(seconds=10),
    steps.CreateServer: Traits(occupies=_HOST, look=Look.NOTHING, seconds=25),
    steps.PowerOn: Traits(occupies=_HOST, look=Look.SERVERS | Look.HOST | Look.MASTERS | Look.KUBE, seconds=30),
    steps.StartMaster: Traits(occupies=_HOST, seconds=12),
    steps.StartWorker: Traits(occupies=_HOST, look=Look.HOST | Look.KUBE, seconds=10),
    steps.SecureHost: Traits(occupies=_HOST, look=Look.HOST, seconds=9),
    steps.InstallK3s: Traits(occupies=_HOST, look=Look.HOST, seconds=8),
    steps.RecordBirth: Traits(disruptive=True),
    steps.InitControlPlane: Traits(occupies=_HOST, disruptive=True, seconds=8),
    steps.JoinControlPlane: Traits(occupies=_HOST, joins=True, disruptive=True, alike=True, seconds=10),
    steps.StartOnDatabase: Traits(occupies=_HOST, joins=True, disruptive=True, alike=True, seconds=10),
    steps.MarkMember: Traits(occupies=_HOST, seconds=1),
    steps.RenewToken: Traits(occupies=_HOST),
    steps.PinCa: Traits(occupies=_HOST, look=Look.HOST | Look.KUBE),
    steps.SaveSnapshot: Traits(seconds=2),
    steps.WipeJoiner: Traits(occupies=_HOST, disruptive=True, once=True, seconds=3),
    steps.RemoveMember: Traits(clears=True, disruptive=True),
    steps.HoldMaster: Traits(occupies=_HOST, seconds=12),
    steps.FetchDatabase: Traits(occupies=_HOST, seconds=5),
    steps.FenceMember: Traits(occupies=_HOST, seconds=3),
    steps.ResetQuorum: Traits(occupies=_HOST, disruptive=True, seconds=30),
    steps.AdoptCluster: Traits(disruptive=True, look=Look.SERVERS | Look.HOSTS | Look.KUBE, seconds=5),
    steps.AdoptLineage: Traits(disruptive=True, seconds=2),
    steps.DeleteNode: Traits(occupies=_DEPARTURE, clears=True),
    steps.JoinWorker: Traits(occupies=_HOST, joins=True, look=Look.HOST | Look.KUBE, seconds=5),
    steps.LabelNode: Traits(look=Look.KUBE, apart=True),
    steps.UnmarkMember: Traits(occupies=_DEPARTURE),
    steps.UnmarkSurge: Traits(occupies=_DEPARTURE),
    steps.RetireMember: Traits(occupies=_DEPARTURE, disruptive=True, seconds=5),
    steps.CordonNode: Traits(occupies=_DEPARTURE),
    steps.DrainNode: Traits(occupies=_DEPARTURE, seconds=20),
    steps.UncordonNode: Traits(occupies=_DEPARTURE),
    steps.StageK3s: Traits(occupies=_HOST, look=Look.HOST, seconds=8),
    steps.ReconfigureMaster: Traits(occupies=_HOST, disruptive=True, rolls=True, seconds=30),
    steps.ReconfigureWorker: Traits(occupies=_HOST, look=Look.HOST | Look.KUBE, rolls=True, seconds=25),
    steps.ResizeMaster: Traits(
        occupies=_HOST, disruptive=True, look=Look.SERVERS | Look.MASTERS | Look.KUBE, rolls=True, seconds=90
    ),
    steps.ResizeWorker: Traits(occupies=_HOST, look=Look.SERVERS | Look.HOST | Look.KUBE, rolls=True, seconds=90),
    steps.ForgetBirth: Traits(),
    steps.KeepSnapshot: Traits(seconds=5),
    steps.UploadSnapshot: Traits(occupies=_HOST, disruptive=True, seconds=10),
    steps.RestoreSnapshot: Traits(occupies=_HOST, disruptive=True, seconds=25),
    steps.StartRestored: Traits(occupies=_HOST, disruptive=True, seconds=15),
    steps.ReconnectWorker: Traits(look=Look.HOST | Look.KUBE, seconds=5),
    steps.PointWorker: Traits(occupies=_HOST, look=Look.HOST | Look.KUBE),
    steps.ApplyAddons: Traits(apart=True),
    steps.RemoveAddon: Traits(seconds=20),
    steps.TakeOverAddon: Traits(seconds=35),
    steps.WriteKubeconfig: Traits(apart=True),
    steps.KeepTokens: Traits(apart=True),
    steps.MarkDeleting: Traits(),
    steps.MarkForDeletion: Traits(),
    steps.DeleteServer: Traits(occupies=_DEPARTURE, seconds=8),
    steps.DeleteResource: Traits(seconds=3),
    steps.CloseBirth: Traits(),
}


@runtime_checkable
class _OnServer(Protocol):
    @property
    def server_id(self) -> int: ...


def server_of(step: Step) -> int | None:
    """Return the id of the server that a step is about, None where it is about another thing."""
    return step.server_id if isinstance(step, _OnServer) else None
