"""The add-ons: applied when the digest on what is there differs from the wanted one."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide import predictions
from hetzner_k3s.decide.basis import Basis, Opinion
from hetzner_k3s.model import lookup
from hetzner_k3s.model.identity import Phase
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ApplyAddons, Step


def apply_addons(basis: Basis) -> Opinion | None:
    """Plan the add-ons as soon as an API answers."""
    plane = basis.plane
    if plane.record.phase is not Phase.BORN or plane.seed is None or plane.kube is None:
        return None
    stale = {name for name, digest in basis.intent.addons.items() if plane.kube.addons.get(name) != digest}
    if not stale or lookup.network(basis.spec, basis.view) is None:
        return None
    step = ApplyAddons(target=basis.spec.name, addons=basis.intent.addons, via=plane.seed_server.id)
    reason, because = (
        (Reason.DIFFERS, "what is installed was made from another file")
        if stale & plane.kube.addons.keys()
        else (Reason.MISSING, "without a cloud controller the nodes stay tainted")
    )
    return Opinion((PlannedStep(step=step, scope=Scope.ADDONS, reason=reason, because=because),))


def predict(_spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Say what the API shows after the add-ons were applied."""
    if not isinstance(step, ApplyAddons):
        return state
    return predictions.map_kube(state, lambda kube: replace(kube, addons={**kube.addons, **step.addons}))
