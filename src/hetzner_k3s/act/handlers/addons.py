"""Carries out the steps about what runs in every cluster."""

from __future__ import annotations

from typing import Final

from hetzner_k3s import addons
from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.model.errors import PreconditionChanged
from hetzner_k3s.model.steps import ApplyAddons, RemoveAddon, TakeOverAddon
from hetzner_k3s.model.text.wording import listed

_NAMED: Final = 3


async def apply_addons(step: ApplyAddons, context: Context) -> Outcome:
    """Apply the Secret `hcloud` and the HelmChart objects; k3s' own helm controller installs the charts."""
    context.say(step.target, f"applying {listed(sorted(step.addons), _NAMED) or 'the Hetzner token'}")
    secret = (addons.credentials(context.spec, context.holder),) if step.credentials else ()
    charts = addons.manifests(context.spec, step.addons)
    await context.ports.kube.apply(context.target(step.via), (*secret, *charts))
    return Outcome()


async def remove_addon(step: RemoveAddon, context: Context) -> Outcome:
    """Delete a HelmChart object, whereupon k3s' own helm controller uninstalls the chart.

    Raises:
        PreconditionChanged: somebody needs it by now.
    """
    via = context.target(step.via)
    if needed := await context.ports.kube.dependents(via, step.target):
        raise PreconditionChanged(f"{step.target} is needed by now: {listed(needed, _NAMED)}", server=via.name)
    context.say(step.target, "uninstalling it")
    await context.ports.kube.remove_chart(via, step.target, step.digest)
    return Outcome()


async def take_over_addon(step: TakeOverAddon, context: Context) -> Outcome:
    """Delete what hetzner-k3s 2.x applied and a chart could not change, and apply the chart at once."""
    via = context.target(step.via)
    if step.workloads:
        context.say(step.target, f"ending {listed([str(name) for name in step.workloads], _NAMED)}")
    await context.ports.kube.clear_way(via, step.target, step.workloads)
    context.say(step.target, "applying the chart")
    await context.ports.kube.apply(via, addons.manifests(context.spec, (step.target,)))
    return Outcome()
