"""Labels and taints that a change of the file brought: each Node by itself, whatever else is under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from hetzner_k3s.decide.desired.nodes import Labelled, otherwise
from hetzner_k3s.decide.view import predictions
from hetzner_k3s.decide.view.context import Proposal, ServingContext
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.kubernetes.node_labels import NodeChange
from hetzner_k3s.model.plan import PlannedStep, Reason, Scope
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.model.steps import LabelNode, Step
from hetzner_k3s.model.text.wording import listed

_NAMED: Final = 4


def label_nodes(context: ServingContext) -> Proposal | None:
    """Plan to set what the file names, and to take away what it dropped and we had set."""
    steps = tuple(_planned(found, context.gateway.server.id) for found in otherwise(context))
    return Proposal(steps) if steps else None


def _planned(found: Labelled, via: int) -> PlannedStep:
    return PlannedStep(
        step=LabelNode(target=found.node.name, uid=found.node.uid, via=via, change=found.change),
        scope=Scope.CONTROL_PLANE if isinstance(found.spec, MasterSpec) else Scope.WORKER,
        reason=Reason.DIFFERS,
        because=_because(found.change),
    )


def _because(change: NodeChange) -> str:
    told = [*_named("label", change.labels), *_named("taint", change.taints)]
    if not told:
        return "its note of what is ours names what the file dropped"
    evicts = any(value is not None and name.endswith(":NoExecute") for name, value in change.taints.items())
    return f"the file says {listed(told, _NAMED)}" + (
        "; pods that do not tolerate the taint are evicted" if evicts else ""
    )


def _named(kind: str, changes: Mapping[str, str | None]) -> list[str]:
    return [
        f"{kind} {_text(name, value)}" if value is not None else f"no {kind} {name}" for name, value in changes.items()
    ]


def _text(name: str, value: str) -> str:
    key, colon, effect = name.partition(":")
    return f"{key}={value}{colon}{effect}"


def predict(spec: ClusterSpec, state: ClusterState, step: Step) -> ClusterState:
    """Return what the world looks like after a Node was given its labels and taints."""
    return predict_together(spec, state, (step,)) if isinstance(step, LabelNode) else state


def predict_together(_spec: ClusterSpec, state: ClusterState, steps: Sequence[Step]) -> ClusterState:
    """Return what the world looks like after many Nodes were."""
    changes = {(step.target, step.uid): step.change for step in steps if isinstance(step, LabelNode)}

    def changed(kube: KubeView) -> KubeView:
        return replace(kube, nodes=tuple(_changed(node, changes.get((node.name, node.uid))) for node in kube.nodes))

    return predictions.map_kube(state, changed)


def _changed(node: KubeNode, change: NodeChange | None) -> KubeNode:
    if change is None:
        return node
    labels, taints = _with(node.labels, change.labels), _with(node.taints or {}, change.taints)
    return replace(node, labels=labels, taints=taints, applied=change.ours)


def _with(old: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in {**old, **changes}.items() if value is not None}
