"""The add-ons: applied when a chart has another digest than the wanted one, or their Hetzner token opens nothing."""

from __future__ import annotations

from dataclasses import replace

from hetzner_k3s.decide.desired.addons_of_2x import of_2x
from hetzner_k3s.decide.preflight import critical_config
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import DecisionContext, Proposal, ServingContext
from hetzner_k3s.model import lookup
from hetzner_k3s.model.facts import Known, Reading, Unknown
from hetzner_k3s.model.kube import Credentials, KubeView, TokenGrant
from hetzner_k3s.model.kubernetes.addons import CLOUD_CONTROLLER
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import ApplyAddons, Step

SECRET = "the Hetzner token in Secret kube-system/hcloud"
_NOBODY = "nobody knows whom"


def apply_addons(context: ServingContext) -> Proposal | None:
    """Plan the add-ons as soon as an API answers."""
    control_plane = context.control_plane
    if control_plane.kube is None:
        return None
    if any(critical_config.cannot_change(context)):
        return None  # the cloud controller would be told of pods' addresses that no node has
    theirs = of_2x(context, control_plane.kube)
    wanted = {name: digest for name, digest in context.intent.addons.items() if name not in theirs}
    stale = {name for name, digest in wanted.items() if control_plane.kube.addons.get(name) != digest}
    secret = _why_credentials(context, control_plane.kube)
    if not (stale or secret) or lookup.lacks_network(context.spec, context.view):
        return None
    step = ApplyAddons(
        target=context.spec.name,
        addons=wanted,
        via=context.gateway.server.id,
        credentials=secret is not None,
    )
    reason, because = _reason(control_plane.kube, stale, secret)
    return Proposal((PlannedStep(step=step, scope=Scope.ADDONS, reason=reason, because=because),))


def _reason(kube: KubeView, stale: set[str], secret: str | None) -> tuple[Reason, str]:
    if stale & kube.addons.keys():
        return Reason.DIFFERS, "what is installed was made from another file"
    if CLOUD_CONTROLLER in stale or kube.credentials is None:
        return Reason.MISSING, "without a cloud controller the nodes stay tainted"
    if stale or secret is None:
        return Reason.MISSING, f"the file asks for {', '.join(sorted(stale))}"
    return Reason.DIFFERS, secret


def _why_credentials(context: DecisionContext, kube: KubeView) -> str | None:
    """Return why the Secret of the cloud controller has to be applied; None where it grants what this file's would.

    A token is compared by what it opens, never by its bytes: two operators with tokens of their own would else take
    turns in writing it for ever. What could not be asked is no reason to write.
    """
    present = kube.credentials
    if present is None:
        return f"{SECRET} is missing"
    if present.network != context.spec.network_name:
        return f"beside {SECRET} stands the network {present.network}"
    grant = _grant(context, present)
    if not isinstance(grant, Known) or grant.value is TokenGrant.CLUSTERS_PROJECT:
        return None
    return f"{SECRET}, applied by {present.applied_by or _NOBODY}, opens {grant.value.value}"


def _grant(context: DecisionContext, present: Credentials) -> Reading[TokenGrant]:
    if present.token == context.spec.hetzner_token:
        return Known(TokenGrant.CLUSTERS_PROJECT)
    return context.state.grants.get(present.token, Unknown("it was not asked yet"))


def credential_notes(context: DecisionContext) -> tuple[str, ...]:
    """Tell of another operator's token in the cluster, which is left."""
    present = context.control_plane.kube.credentials if context.control_plane.kube else None
    if present is None or present.token == context.spec.hetzner_token or present.network != context.spec.network_name:
        return ()
    if _grant(context, present) != Known(TokenGrant.CLUSTERS_PROJECT):
        return ()
    return (
        f"{SECRET} is another one than this file's, applied by {present.applied_by or _NOBODY}. It opens the cluster's "
        "project, so it is left; to have this file's there, delete that Secret and run `create`",
    )


def credentials_not_asked(context: DecisionContext) -> tuple[str, ...]:
    """Tell that nobody knows what the Hetzner token in the cluster opens."""
    present = context.control_plane.kube.credentials if context.control_plane.kube else None
    grant = _grant(context, present) if present else None
    return (f"what {SECRET} opens ({grant.why})",) if isinstance(grant, Unknown) else ()


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the API shows after the add-ons were applied."""
    if not isinstance(step, ApplyAddons):
        return state
    ours = Credentials(token=spec.hetzner_token, network=spec.network_name)

    def applied(kube: KubeView) -> KubeView:
        credentials = ours if step.credentials else kube.credentials
        return replace(kube, addons={**kube.addons, **step.addons}, credentials=credentials)

    return predictions.map_kube(state, applied)
