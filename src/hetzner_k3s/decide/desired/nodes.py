"""Labels and taints of the Nodes: what the file gives to them, what is there, and what of that we set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.decide.desired.servers import MASTERS, WORKERS
from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model.difference import Difference, Remedy
from hetzner_k3s.model.hosts.host_config import MASTER_TAINT
from hetzner_k3s.model.kube import KubeNode
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, NodeKeys, keys_of, labels_of, split_taint, taints_of
from hetzner_k3s.model.spec import MasterSpec, WorkerSpec

SWITCH: Final = "schedule_workloads_on_masters"
OWN_TAINT: Final = split_taint(MASTER_TAINT)[0]
"""The masters' own taint, as `key:effect`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A Node of the file whose labels, taints or note are not as the file says, and what would change that."""

    spec: MasterSpec | WorkerSpec
    node: KubeNode
    change: NodeChange


def labelled_otherwise(context: DecisionContext) -> Iterator[Difference]:
    """Return each label and taint of a Node that is missing, has another value, or that the file dropped."""
    for found in otherwise(context):
        pool = MASTERS if isinstance(found.spec, MasterSpec) else WORKERS
        for key, value in found.change.labels.items():
            texts = _texts(key, "", value, found.node.labels.get(key))
            yield _difference(found.node.name, f"{pool}.labels", texts)
        for name, value in found.change.taints.items():
            key, _, effect = name.partition(":")
            texts = _texts(key, f":{effect}", value, (found.node.taints or {}).get(name))
            own = name == OWN_TAINT and isinstance(found.spec, MasterSpec)
            yield _difference(found.node.name, SWITCH if own else f"{pool}.taints", texts)


def _texts(key: str, effect: str, *values: str | None) -> list[str]:
    return ["none" if value is None else f"{key}={value}{effect}" for value in values]


def _difference(node: str, field: str, texts: list[str]) -> Difference:
    wanted, seen = texts
    return Difference(subject=node, field=field, wanted=wanted, seen=seen, remedy=Remedy.APPLY)


def otherwise(context: DecisionContext) -> Iterator[Labelled]:
    """Return the Nodes that are to be written to: each is of the server of its name, and was looked at."""
    for spec in context.spec.servers():
        node, server = context.node(spec.name), context.server(spec.name)
        if node is None or server is None or node.machine != server.id or node.deleting or spec.name in context.joining:
            continue
        change = _change(context, spec, node)
        if change is not None:
            yield Labelled(spec=spec, node=node, change=change)


def _change(context: DecisionContext, spec: MasterSpec | WorkerSpec, node: KubeNode) -> NodeChange | None:
    """Return the three-way change: what the file names is set, what it dropped and we had set goes, the rest stays."""
    if node.taints is None:
        return None
    ours, kept = _ours(context, spec, node), keys_of(context.spec, spec)
    labels = _merged(labels_of(spec), node.labels, ours.labels)
    taints = _merged(taints_of(context.spec, spec), node.taints, ours.taints)
    outlived = node.applied is not None and node.applied & kept != node.applied
    if not (labels or taints or outlived):
        return None
    written = NodeKeys(labels=frozenset(labels), taints=frozenset(taints))
    return NodeChange(labels=labels, taints=taints, ours=(ours | written) & kept)


def _merged(wanted: Mapping[str, str], seen: Mapping[str, str], ours: frozenset[str]) -> dict[str, str | None]:
    to_set = {key: value for key, value in wanted.items() if seen.get(key) != value}
    return {**to_set, **{key: None for key in sorted(ours) if key not in wanted and key in seen}}


def _ours(context: DecisionContext, spec: MasterSpec | WorkerSpec, node: KubeNode) -> NodeKeys:
    """Return what we set on a Node; of one without a note, a taint that its host was told to register with is ours."""
    if node.applied is not None:
        return node.applied
    server = context.server(spec.name)
    facts = context.state.facts(server.id) if server is not None else None
    registered = (facts.disk.config or {}).get("node-taint", ()) if facts is not None else ()
    own = isinstance(spec, MasterSpec) and MASTER_TAINT in registered
    return NodeKeys(taints=frozenset({OWN_TAINT})) if own else NodeKeys()
