"""An add-on that the file switched off: uninstalled with `Prune`, unless something in the cluster needs it."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.desired.addons import Unwanted, unwanted
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.model.consents import Prune
from hetzner_k3s.model.kube import KubeView
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import RemoveAddon, Step


def remove_addons(context: ServingContext) -> Proposal | None:
    """Plan to uninstall what the file switched off, with consent."""
    if Prune() not in context.consents:
        return None
    steps = tuple(_removal(found, context.gateway.server.id) for found in unwanted(context) if found.needed is None)
    return Proposal(steps) if steps else None


def _removal(found: Unwanted, via: int) -> PlannedStep:
    because = "; ".join(filter(None, ("the file switched it off", found.warning)))
    return PlannedStep(
        step=RemoveAddon(target=found.chart, digest=found.digest, via=via),
        scope=Scope.ADDONS,
        reason=Reason.SHRINK,
        because=because,
        consent=Prune(),
    )


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the API shows after an add-on was uninstalled."""
    if not isinstance(step, RemoveAddon):
        return state

    def removed(kube: KubeView) -> KubeView:
        return replace(kube, addons={name: digest for name, digest in kube.addons.items() if name != step.target})

    return predictions.map_kube(state, removed)
