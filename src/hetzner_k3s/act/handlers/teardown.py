"""Carries out the steps of `delete`; deleting what is gone already is success."""

from __future__ import annotations

from hetzner_k3s.act import birth_record, journal
from hetzner_k3s.act.context import Context, Gone, Outcome
from hetzner_k3s.act.handlers.drain import no_volume_left
from hetzner_k3s.model import naming
from hetzner_k3s.model.steps import CloseBirth, DeleteResource, DeleteServer, MarkDeleting


async def mark_deleting(step: MarkDeleting, context: Context) -> Outcome:
    """Write `phase=deleting` wherever the record is, so that no other run repairs what this one takes down."""
    context.say(step.target, "recording that the cluster is being deleted")
    changes = await birth_record.write(context, {naming.LABEL_PHASE: naming.PHASE_DELETING})
    return Outcome(labels=changes)


async def delete_server(step: DeleteServer, context: Context) -> Outcome:
    """Delete a server by its id."""
    if step.via is not None:
        await no_volume_left(context, context.target(step.via), step.target)
    context.say(step.target, "deleting the server")
    await context.ports.cloud.delete("server", step.server_id)
    return Outcome(gone=(Gone("server", step.server_id),))


async def delete_resource(step: DeleteResource, context: Context) -> Outcome:
    """Delete a resource by its kind and id."""
    context.say(step.target, f"deleting the {step.kind.replace('_', ' ')}")
    await context.ports.cloud.delete(step.kind, step.resource_id)
    return Outcome(gone=(Gone(step.kind, step.resource_id),))


async def close_birth(step: CloseBirth, context: Context) -> Outcome:
    """Let this machine forget the cluster, so that one of the same name may be born again."""
    context.say(step.target, "is gone; closing its record on this machine")
    if step.kubeconfig:
        kept = context.ports.local.remove_kubeconfig()
        if kept is not None:
            context.say(step.target, f"taken out of the kubeconfig, whose others stay; as it was lies in {kept}")
    journal.birth_closed(context.ports.local, step.target, step.ca)
    return Outcome()
