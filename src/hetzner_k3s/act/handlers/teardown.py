"""Carries out the steps of `delete`; deleting what is gone already is success."""

from __future__ import annotations

from hetzner_k3s.act import birth_record, journal
from hetzner_k3s.act.context import Context, Gone, LabelChange, Outcome
from hetzner_k3s.act.handlers.drain import no_volume_left
from hetzner_k3s.act.labels import merge
from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.errors import CloudError
from hetzner_k3s.model.steps import CloseBirth, DeleteResource, DeleteServer, MarkDeleting, MarkForDeletion


async def mark_deleting(step: MarkDeleting, context: Context) -> Outcome:
    """Write `phase=deleting`, so that no other run repairs what this one takes down.

    The placement group alone says so where it is there: it is deleted last, and says more than all others together.
    """
    context.say(step.target, "recording that the cluster is being deleted")
    deleting = {naming.LABEL_PHASE: naming.PHASE_DELETING}
    found = birth_record.carriers(context.spec, context.state.view)
    if (group := found[0]).kind == "placement_group":
        # As it was listed, read or not: its labels go with it.
        if await context.ports.cloud.replace_labels(
            group.kind, group.resource.id, {**group.resource.labels, **deleting}
        ):
            return Outcome(labels=(LabelChange(group.kind, group.resource.id, deleting),))
        found = found[1:]
    return Outcome(labels=await birth_record.write(context, deleting, found))


async def mark_for_deletion(step: MarkForDeletion, context: Context) -> Outcome:
    """Write on a resource that it goes with the cluster; one that is gone need not be marked."""
    context.say(step.target, f"marking the {step.kind.replace('_', ' ')} as one that goes with the cluster")
    try:
        change = await merge(context, step.kind, step.resource_id, {naming.LABEL_GOES_WITH: step.uid})
    except CloudError as failure:
        if failure.code != "not_found":
            raise
        return Outcome(gone=(Gone(step.kind, step.resource_id),))
    return Outcome(labels=(change,))


async def delete_server(step: DeleteServer, context: Context) -> Outcome:
    """Delete a server by its id."""
    if step.via is not None:
        await no_volume_left(context, context.target(step.via), step.target)
    context.say(step.target, "deleting the server")
    listed = await context.ports.cloud.delete_server(step.server_id)
    return Outcome(gone=(Gone("server", step.server_id),), listed=listed)


async def delete_resource(step: DeleteResource, context: Context) -> Outcome:
    """Delete a resource by its kind and id."""
    context.say(step.target, f"deleting the {step.kind.replace('_', ' ')}")
    if step.kind == "firewall" and (selectors := _of_nobody(context, step.resource_id)):
        await context.ports.cloud.delete_unused_firewall(step.resource_id, selectors)
    else:
        await context.ports.cloud.delete(step.kind, step.resource_id)
    return Outcome(gone=(Gone(step.kind, step.resource_id),))


def _of_nobody(context: Context, firewall_id: int) -> tuple[str, ...]:
    """Return the selectors of a firewall that is applied to this cluster's servers alone, when all of them are gone."""
    view, ours = context.state.view, naming.cluster_selector(context.spec.name)
    firewall = next(f for f in view.firewalls if f.id == firewall_id)
    used = lookup.owned_servers(context.spec.name, view) or firewall.servers & {s.id for s in view.servers}
    return () if used or set(firewall.selectors) != {ours} else firewall.selectors


async def close_birth(step: CloseBirth, context: Context) -> Outcome:
    """Let this machine forget the cluster, so that one of the same name may be born again."""
    context.say(step.target, "is gone; closing its record on this machine")
    if step.kubeconfig:
        kept = context.ports.local.remove_kubeconfig()
        if kept is not None:
            context.say(step.target, f"taken out of the kubeconfig, whose others stay; as it was lies in {kept}")
    journal.birth_closed(context.ports.local, step.target, step.ca)
    return Outcome()
