"""Carries out what is written on a Node about its server, its labels and its taints."""

from __future__ import annotations

from hetzner_k3s.act.context import Context, Outcome
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.facts import Known
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kubernetes.node_labels import NodeKeys, keys_of, note
from hetzner_k3s.model.steps import LabelNode


async def label_node(step: LabelNode, context: Context) -> Outcome:
    """Apply the labels and taints of the file to a Node."""
    context.say(step.target, "setting the labels and taints of its Node")
    await context.ports.kube.label_node(context.target(step.via), step.target, step.uid, step.change)
    return Outcome()


async def record(context: Context, via: HostTarget, server: Server) -> None:
    """Note on the Node of a server that joined which server it is of, and the labels and taints that it has from us."""
    ours = keys_of(context.spec, context.wanted(server.name)) | _remembered(context, server.name)
    annotations, labels = note(server.name, ours) if ours != NodeKeys() else ({}, {})
    annotations = {naming.ANNOTATION_SERVER_ID: str(server.id), **annotations}
    await context.ports.kube.annotate_node(via, server.name, annotations, labels)


def _remembered(context: Context, name: str) -> NodeKeys:
    """Return what the Node of that name remembered when this step was decided on: it may have joined before."""
    views = (reading.value for reading in context.state.kube.values() if isinstance(reading, Known))
    nodes = (node for view in views if (node := view.node(name)) is not None and node.applied is not None)
    return next((node.applied for node in nodes if node.applied is not None), NodeKeys())
