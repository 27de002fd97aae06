"""Labels and taints of a Node, as somebody writes them who knows which are theirs."""

from __future__ import annotations

import copy

from hetzner_k3s.lab.k3s.api import patch
from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, note


def taints_of(found: Obj) -> dict[str, str]:
    """Give the taints of a Node as `key:effect` and value."""
    return {f"{t['key']}:{t['effect']}": t.get("value", "") for t in found.get("spec", {}).get("taints") or ()}


def relabelled(old: Obj, change: NodeChange) -> Obj:
    """Give a Node with other labels and taints, and the note of which are ours."""
    annotations, seal = note(old["metadata"]["name"], change.ours)
    changed: Obj = patch.merge(
        copy.deepcopy(old), {"metadata": {"labels": {**change.labels, **seal}, "annotations": annotations}}
    )
    kept = [t for t in changed.get("spec", {}).get("taints") or () if f"{t['key']}:{t['effect']}" not in change.taints]
    for name, value in change.taints.items():
        key, _, effect = name.partition(":")
        if value is not None:
            kept.append({"key": key, "value": value, "effect": effect})
    return changed | {"spec": (changed.get("spec") or {}) | {"taints": kept}}
