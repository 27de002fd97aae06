"""What to look at again once steps have ended (docs/architecture.md#the-loop)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from hetzner_k3s.model.cloud import ServerStatus
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps.traits import TRAITS, Look, server_of
from hetzner_k3s.observe.observer import Focus

OF_SCOPE: Final[Mapping[Scope, Look]] = {
    Scope.CONTROL_PLANE: Look.MASTERS | Look.KUBE,
    Scope.WORKER: Look.KUBE,
    Scope.ADDONS: Look.KUBE,
}
"""What is looked at after a step that does not say so itself."""

_AT_REST: Final = frozenset({ServerStatus.RUNNING, ServerStatus.OFF, ServerStatus.OTHER})


def focus_after(done: Sequence[PlannedStep], state: ClusterState) -> Focus:
    """Return what these steps may have changed; where a server was lost, more of them may be gone by now.

    What clears up after a lost one takes a second, and comes right after a step that the servers were listed for.
    """
    looks = [_look_after(planned) for planned in done]
    own = (server_of(planned.step) for planned, look in zip(done, looks, strict=True) if Look.HOST in look)
    everywhere = any(Look.HOSTS in look for look in looks)
    masters = _masters(state) if any(Look.MASTERS in look for look in looks) else set()
    return Focus(
        listing=False,
        servers=any(Look.SERVERS in look for look in looks),
        hosts=None if everywhere else frozenset(masters.union(number for number in own if number is not None)),
        kube=any(Look.KUBE in look for look in looks),
    )


def is_changing(state: ClusterState) -> bool:
    """Check whether Hetzner is doing something to a server, so that its status will be another one soon."""
    return any(server.status not in _AT_REST for server in state.view.servers)


def _look_after(planned: PlannedStep) -> Look:
    look = TRAITS[type(planned.step)].look
    look = OF_SCOPE.get(planned.scope, Look.NOTHING) if look is None else look
    if planned.reason is Reason.LOST and not TRAITS[type(planned.step)].clears:
        return look | Look.SERVERS
    return look


def _masters(state: ClusterState) -> set[int]:
    return {s.id for s in state.view.servers if _runs_master(state, s.id)}


def _runs_master(state: ClusterState, server_id: int) -> bool:
    facts = state.facts(server_id)
    return facts is not None and facts.server_unit.installed
