"""Charts of ours in the place of the add-ons that hetzner-k3s 2.x applied: with consent, one after another.

A workload's selector cannot be changed, so what 2.x applied is deleted right before its chart is applied. One that is
deleted already, by a run that was cut off or by anybody, is gone on with unasked: nothing looks after the cluster
meanwhile, which does no harm for a while (docs/facts/addons.md#without-a-cloud-controller).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.desired.addons_of_2x import LeftTo2x, installed, left_to_2x, not_installed
from hetzner_k3s.decide.preflight import critical_config
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.consents import ROLLOUT_ADDONS, Rollout
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope, Wait
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import Step, TakeOverAddon

CONSENT: Final = Rollout(ROLLOUT_ADDONS)
INSTALLED_WITHIN: Final = 180.0
"""Seconds given to k3s for a chart: a pod of its helm controller fetches it, and its image may have to be pulled."""


def take_over(context: ServingContext) -> Proposal | None:
    """Plan the next chart; while one is being installed, wait for that: so at most one add-on is missing at a time."""
    if any(critical_config.cannot_change(context)) or lookup.lacks_network(context.spec, context.view):
        return None  # as for charts of any cluster: the cloud controller would be told of addresses that no node has
    if any(key.kind is TakeOverAddon for key in context.in_flight):
        return None
    if missing := not_installed(context):
        return Proposal(waits=(_installation(missing[0]),))
    found = next((found for found in left_to_2x(context) if _may_go(context, found)), None)
    return None if found is None else Proposal((_step(context, found),))


def _may_go(context: DecisionContext, found: LeftTo2x) -> bool:
    return not found.obstacles and (found.is_gone or CONSENT in context.consents)


def _step(context: ServingContext, left: LeftTo2x) -> PlannedStep:
    there = left.found.workloads if left.found is not None else {}
    step = TakeOverAddon(
        target=left.chart,
        digest=context.intent.addons[left.chart],
        workloads={name: workload.uid for name, workload in there.items()},
        via=context.gateway.server.id,
    )
    if left.is_gone:
        because = "the file asks for it, and what hetzner-k3s 2.x applied of it is gone"
        return PlannedStep(step=step, scope=Scope.ADDONS, reason=Reason.MISSING, because=because)
    because = f"hetzner-k3s 2.x applied it by kubectl; deleted for it: {', '.join(map(str, there))}"
    return PlannedStep(step=step, scope=Scope.ADDONS, reason=Reason.DIFFERS, because=because, consent=CONSENT)


def _installation(chart: str) -> Wait:
    return Wait(
        what=f"k3s to install the chart {chart}",
        because="nothing does its work until then",
        deadline=INSTALLED_WITHIN,
        tolerated=True,
    )


def notes(context: DecisionContext) -> tuple[str, ...]:
    """Tell which add-ons of an adopted cluster are those that 2.x applied, and what would take their place."""
    if CONSENT in context.consents:
        return ()
    left = [found for found in left_to_2x(context) if not found.is_gone]
    free = [found.chart for found in left if not found.obstacles]
    return (*_offered(free), *(_held(found, f", with `create {CONSENT}` too") for found in left if found.obstacles))


def _offered(charts: list[str]) -> tuple[str, ...]:
    match charts:
        case []:
            return ()
        case [chart]:
            return (f"{chart} stays as hetzner-k3s 2.x applied it; `create {CONSENT}` puts our chart in its place",)
        case _:
            names = ", ".join(charts)
            return (f"{names} stay as hetzner-k3s 2.x applied them; `create {CONSENT}` puts our charts in their place",)


def left_undone(context: DecisionContext) -> tuple[str, ...]:
    """Tell which add-ons no chart takes the place of although the user asked for it, or although they are gone."""
    asked = CONSENT in context.consents
    held = [found for found in left_to_2x(context) if found.obstacles and (asked or found.is_gone)]
    return (*map(_held, held), *map(_failing, not_installed(context)))


def _held(found: LeftTo2x, how: str = "") -> str:
    if found.is_gone:
        return f"{found.chart}: what hetzner-k3s 2.x applied is gone, and no chart takes its place: {_why(found)}"
    return f"{found.chart} stays as hetzner-k3s 2.x applied it{how}: {_why(found)}"


def _why(found: LeftTo2x) -> str:
    return ". ".join(found.obstacles)


def _failing(chart: str) -> str:
    return (
        f"{chart}: its chart is applied, but k3s has not installed it: `kubectl -n kube-system logs "
        f"job/helm-install-{chart}` says why"
    )


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the API shows after a chart took the place of what 2.x applied."""
    if not isinstance(step, TakeOverAddon):
        return state

    def taken_over(kube: KubeView) -> KubeView:
        of_2x = {**kube.of_2x, step.target: installed(step.target)}
        return replace(kube, addons={**kube.addons, step.target: step.digest}, of_2x=of_2x)

    return predictions.map_kube(state, taken_over)
