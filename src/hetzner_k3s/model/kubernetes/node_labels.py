"""Labels and taints that the file gives to a Node, and the note on the Node of which of them we set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.model import naming
from hetzner_k3s.model.hosts.host_config import node_taints
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.text.documents import Document, Malformed

KUBELET_LABELS: Final = (
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
)
"""Besides those of two domains of its own, all that a kubelet may give itself of Kubernetes' own labels."""

WELL_KNOWN: Final = frozenset({*KUBELET_LABELS, "node.kubernetes.io/instance-type"})
"""Labels that the kubelet and the cloud controller correct by themselves: to set them would be a fight without end."""

NOTE_MOST: Final = 32_768
"""Characters of a note that is read: a hundred keys of the greatest length have fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """Keys of labels, and `key:effect` of taints."""

    labels: frozenset[str] = frozenset()
    taints: frozenset[str] = frozenset()

    def __or__(self, other: NodeKeys) -> NodeKeys:
        """Return the keys of both."""
        return NodeKeys(labels=self.labels | other.labels, taints=self.taints | other.taints)

    def __and__(self, other: NodeKeys) -> NodeKeys:
        """Return the keys that both have."""
        return NodeKeys(labels=self.labels & other.labels, taints=self.taints & other.taints)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeChange:
    """What is written to a Node: labels by key, taints by `key:effect`; None takes one away.

    `ours` are the keys that we have set once this is done.
    """

    labels: Mapping[str, str | None]
    taints: Mapping[str, str | None]
    ours: NodeKeys


def labels_of(server: MasterSpec | WorkerSpec) -> dict[str, str]:
    """Return the labels that the file gives to a Node, but for those that Kubernetes keeps by itself."""
    return {label.key: label.value for label in server.labels if label.key not in WELL_KNOWN}


def taints_of(spec: ClusterSpec, server: MasterSpec | WorkerSpec) -> dict[str, str]:
    """Return the taints that the file gives to a Node, as `key:effect` and value; a master's own is among them."""
    return dict(map(split_taint, node_taints(spec, server)))


def split_taint(taint: str) -> tuple[str, str]:
    """Return what tells a taint from the others of its Node, `key:effect`, and its value."""
    body, _, effect = taint.rpartition(":")
    key, _, value = body.partition("=")
    return f"{key}:{effect}", value


def keys_of(spec: ClusterSpec, server: MasterSpec | WorkerSpec) -> NodeKeys:
    """Return the keys that a Node which registers by this file has from us."""
    return NodeKeys(labels=frozenset(labels_of(server)), taints=frozenset(taints_of(spec, server)))


def note(node: str, ours: NodeKeys) -> tuple[dict[str, str], dict[str, str]]:
    """Return the annotation and the label with which a Node remembers which keys are ours.

    A kubelet may write annotations of its own Node, and would have us take away the taint that keeps pods off it. So a
    label holds the annotation's digest: of its domain the apiserver's NodeRestriction lets no kubelet set one.
    """
    text = json.dumps({"labels": sorted(ours.labels), "taints": sorted(ours.taints)}, separators=(",", ":"))
    return {naming.ANNOTATION_APPLIED: text}, {naming.LABEL_APPLIED: _seal(node, text)}


def read_note(node: str, annotations: Mapping[str, str], labels: Mapping[str, str]) -> NodeKeys | None:
    """Return the keys that a Node remembers as ours; None where it has no note, or one that is not from us."""
    text = annotations.get(naming.ANNOTATION_APPLIED)
    if text is None or len(text) > NOTE_MOST or labels.get(naming.LABEL_APPLIED) != _seal(node, text):
        return None
    try:
        told = Document.parsed(text)
        return NodeKeys(labels=frozenset(told.texts("labels")), taints=frozenset(told.texts("taints")))
    except Malformed:
        return None


def _seal(node: str, text: str) -> str:
    return hashlib.sha256(f"{node}\n{text}".encode(errors="replace")).hexdigest()[:40]
