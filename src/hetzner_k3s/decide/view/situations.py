"""The situations a cluster can be in: one sum type, each with what only it has (docs/architecture.md#situations)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unlisted:
    """Hetzner's listing failed, so nothing else that was seen means anything."""


@dataclass(frozen=True, slots=True)
class OtherData:
    """The file names another place for the cluster's data, or its masters by other names."""


@dataclass(frozen=True, slots=True)
class Deleting:
    """A deletion has begun: what is left is no cluster to repair."""


@dataclass(frozen=True, slots=True)
class MadeBy2x:
    """A living cluster of hetzner-k3s 2.x, which has no record of ours."""


@dataclass(frozen=True, slots=True)
class Adopted:
    """A cluster of 2.x that is recorded by now, in a run that was to adopt it: nothing else is done in that one."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The CA was rotated, and its owner has not said so, or not every master runs with the new one."""


@dataclass(frozen=True, slots=True)
class SplitBrain:
    """The user has said which of two clusters stays, and the other side is not out of the way yet."""


@dataclass(frozen=True, slots=True)
class UninitializedOnDatabase:
    """The data will lie in an external database, and no cluster is recorded as initialized."""


@dataclass(frozen=True, slots=True)
class UnservedOnDatabase:
    """The cluster was initialized, its data lies in an external database, and no master serves it."""


@dataclass(frozen=True, slots=True)
class ServingOnDatabase:
    """The same, and a healthy master answers; members, quorum, snapshots there are none."""


@dataclass(frozen=True, slots=True)
class Uninitialized:
    """No cluster is recorded."""


@dataclass(frozen=True, slots=True)
class Bootstrapping:
    """A seed is recorded, and the cluster is not: nothing of it may be lost yet."""


@dataclass(frozen=True, slots=True)
class Serving:
    """The cluster was initialized, and a healthy master answers: everything is done through it."""


@dataclass(frozen=True, slots=True)
class QuorumLost:
    """The cluster was initialized, no master serves, and one may hold its data."""


@dataclass(frozen=True, slots=True)
class AllLost:
    """The cluster was initialized, and no master holds its data."""


@dataclass(frozen=True, slots=True)
class Restored:
    """All masters were lost, and a snapshot lies on one of them, which does not serve yet."""


Situation = (
    Unlisted
    | OtherData
    | Deleting
    | MadeBy2x
    | Adopted
    | Rotated
    | SplitBrain
    | UninitializedOnDatabase
    | UnservedOnDatabase
    | ServingOnDatabase
    | Uninitialized
    | Bootstrapping
    | Serving
    | QuorumLost
    | AllLost
    | Restored
)
