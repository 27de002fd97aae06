"""What may start beside what is under way.

See docs/architecture.md#law-5: in-flight steps are counted.

A probe can already show the traces of a step that has not ended, and the next one would trip over it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hetzner_k3s.model.plan import PlannedStep, StepKey
from hetzner_k3s.model.steps import (
    AdoptLineage,
    CordonNode,
    CreateServer,
    DeleteNode,
    DeleteServer,
    DrainNode,
    FenceMember,
    FetchDatabase,
    HoldMaster,
    InitControlPlane,
    InstallK3s,
    JoinControlPlane,
    JoinWorker,
    MarkMember,
    PinCa,
    PointWorker,
    PowerOn,
    RecordBirth,
    RemoveMember,
    RenewToken,
    ResetQuorum,
    RestoreSnapshot,
    RetireMember,
    SecureHost,
    StartMaster,
    StartOnDatabase,
    StartRestored,
    UncordonNode,
    UnmarkMember,
    UploadSnapshot,
    WipeJoiner,
)

_ON_HOST: Final = frozenset(
    {
        CreateServer,
        PowerOn,
        StartMaster,
        WipeJoiner,
        SecureHost,
        InstallK3s,
        InitControlPlane,
        JoinControlPlane,
        StartOnDatabase,
        JoinWorker,
        MarkMember,
        PointWorker,
        RenewToken,
        PinCa,
        HoldMaster,
        FetchDatabase,
        FenceMember,
        ResetQuorum,
        UploadSnapshot,
        RestoreSnapshot,
        StartRestored,
        PowerOn,
    }
)
"""Steps that work on the host of their target: one after another."""

_JOINS: Final = frozenset({JoinControlPlane, StartOnDatabase, JoinWorker})
_CLEARANCES: Final = frozenset({RemoveMember, DeleteNode})
"""What clears the way for a successor of the same name."""

_DEPARTURE: Final = frozenset(
    {UnmarkMember, CordonNode, DrainNode, UncordonNode, RetireMember, DeleteNode, DeleteServer}
)
"""The way out of what has one name: a step at a time."""

_DISRUPTIVE: Final = frozenset(
    {
        RecordBirth,
        InitControlPlane,
        JoinControlPlane,
        StartOnDatabase,
        RemoveMember,
        RetireMember,
        WipeJoiner,
        ResetQuorum,
        AdoptLineage,
        UploadSnapshot,
        RestoreSnapshot,
        StartRestored,
    }
)
"""Steps that change who the control plane is: one at a time, but for the joins of a birth and starts on a database."""

_ALIKE: Final = frozenset({JoinControlPlane, StartOnDatabase})


def startable(steps: Iterable[PlannedStep], in_flight: frozenset[StepKey]) -> tuple[PlannedStep, ...]:
    """Give the steps that may start now; those under way are not named again."""
    return tuple(s for s in steps if s.key not in in_flight and not any(_collide(s, other) for other in in_flight))


def _collide(planned: PlannedStep, other: StepKey) -> bool:
    kind, same_target = planned.key.kind, planned.key.target == other.target
    if same_target and kind in _ON_HOST and other.kind in _ON_HOST:
        return True
    if same_target and kind in _JOINS and other.kind in _CLEARANCES:
        return True
    if same_target and kind in _DEPARTURE and other.kind in _DEPARTURE:
        return True
    return kind in _DISRUPTIVE and other.kind in _DISRUPTIVE and not (kind is other.kind and kind in _ALIKE)
