"""Carries out the step about what runs in every cluster."""

from __future__ import annotations

from hetzner_k3s import addons
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.model.steps import ApplyAddons


async def apply_addons(step: ApplyAddons, context: Context) -> Outcome:
    """Apply the Secret `hcloud` and the HelmChart objects; k3s' own helm controller installs the charts."""
    context.say(step.target, "applying the cloud controller and the CSI driver")
    secret = (addons.credentials(context.spec, context.holder),) if step.credentials else ()
    await context.ports.kube.apply(context.target(step.via), (*secret, *addons.manifests(context.spec)))
    return Outcome()
