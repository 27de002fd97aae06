"""What the table of traits leads to, for every type of step: what collides, and what is looked at afterwards."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product
from typing import Final, get_args

import pytest
from tests.decide.test_forecast import WAYS
from tests.decide.world import MASTER1, forecast, healthy, lose

from hetzner_k3s.decide.concurrency import startable
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, StepKey
from hetzner_k3s.model.steps import Step
from hetzner_k3s.model.steps.traits import TRAITS
from hetzner_k3s.observe import focus_after

NAMES: Final = sorted(kind.__name__ for kind in get_args(Step))


def named(text: str) -> frozenset[str]:
    """Return the types of steps that a text names."""
    names = frozenset(text.split())
    assert names <= set(NAMES), names - set(NAMES)
    return names


ON_HOST: Final = named("""
    CreateServer FenceMember FetchDatabase HoldMaster InitControlPlane InstallK3s JoinControlPlane JoinWorker MarkMember
    PinCa PointWorker PowerOn ReconfigureMaster ReconfigureWorker RenewToken ResetQuorum
    ResizeMaster ResizeWorker RestoreSnapshot SecureHost
    StageK3s StartMaster StartOnDatabase StartRestored StartWorker UploadSnapshot WipeJoiner
""")
DEPARTING: Final = named(
    "CordonNode DeleteNode DeleteServer DrainNode RetireMember UncordonNode UnmarkMember UnmarkSurge"
)
JOINING: Final = named("JoinControlPlane JoinWorker StartOnDatabase")
CLEARING: Final = named("DeleteNode RemoveMember")
DISRUPTIVE: Final = named("""
    AdoptCluster AdoptLineage InitControlPlane JoinControlPlane ReconfigureMaster RecordBirth RemoveMember
    ResetQuorum ResizeMaster RestoreSnapshot RetireMember StartOnDatabase StartRestored UploadSnapshot WipeJoiner
""")
ALIKE: Final = named("JoinControlPlane StartOnDatabase")

LOOKED_AT: Final = {
    "CreateServer": "",
    "InstallK3s": "host",
    "SecureHost": "host",
    "JoinWorker": "host kube",
    "PinCa": "host kube",
    "PointWorker": "host kube",
    "ReconfigureWorker": "host kube",
    "ReconnectWorker": "host kube",
    "ResizeMaster": "servers masters kube",
    "ResizeWorker": "servers host kube",
    "StageK3s": "host",
    "StartWorker": "host kube",
    "LabelNode": "kube",
    "AdoptCluster": "servers hosts kube",
    "PowerOn": "servers host masters kube",
}
OF_SCOPE: Final = {Scope.CONTROL_PLANE: "masters kube", Scope.WORKER: "kube", Scope.ADDONS: "kube"}


@cache
def samples() -> dict[str, PlannedStep]:
    """Give a planned step of each type."""
    shown = (forecast(*way) for way in WAYS.values())
    return {type(p.step).__name__: p for way in shown for wave in way.waves for p in wave}


def collides(name: str, other: str, *, on_one_target: bool) -> bool:
    planned, under_way = samples()[name], samples()[other].key
    target = planned.step.target if on_one_target else "another"
    return not startable([planned], frozenset({StepKey(under_way.kind, target, "of another kind")}))


def test_every_step_has_its_row_in_the_table() -> None:
    assert set(TRAITS) == set(get_args(Step))


@pytest.mark.parametrize("name", NAMES)
def test_what_must_not_run_beside_a_step_on_its_target(name: str) -> None:
    for other in NAMES:
        expected = (
            (name in ON_HOST and other in ON_HOST)
            or (name in DEPARTING and other in DEPARTING)
            or (name in JOINING and other in CLEARING)
            or disrupt_each_other(name, other)
        )
        assert collides(name, other, on_one_target=True) is expected, other


@pytest.mark.parametrize("name", NAMES)
def test_what_must_not_run_beside_a_step_anywhere(name: str) -> None:
    for other in NAMES:
        assert collides(name, other, on_one_target=False) is disrupt_each_other(name, other), other


def disrupt_each_other(name: str, other: str) -> bool:
    return name in DISRUPTIVE and other in DISRUPTIVE and not (name == other and name in ALIKE)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_looked_at_after_a_step(name: str) -> None:
    state = lose(healthy(), MASTER1)
    masters = {server.id for server in state.view.servers if "master" in server.name}
    for scope, reason in product(Scope, (Reason.MISSING, Reason.LOST)):
        planned = replace(samples()[name], scope=scope, reason=reason)
        expected = LOOKED_AT.get(name, OF_SCOPE.get(scope, "")).split()
        focus = focus_after([planned], state)
        own = {getattr(planned.step, "server_id", None)} if "host" in expected else set()
        assert set(focus.hosts or ()) == own | (masters if "masters" in expected else set()), (scope, reason)
        assert focus.kube is ("kube" in expected), (scope, reason)
        loses_sight = reason is Reason.LOST and name not in CLEARING  # which comes right after a listing
        assert focus.servers is ("servers" in expected or loses_sight), (scope, reason)
        assert not focus.listing
