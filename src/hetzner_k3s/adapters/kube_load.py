"""What a Node carries, read off the Kubernetes API's JSON."""

from __future__ import annotations

from collections.abc import Sequence

from hetzner_k3s.adapters.kube_objects import is_cordoned, name_of, pod
from hetzner_k3s.model.kube import NodeLoad
from hetzner_k3s.model.kubernetes.volumes import Labels, Requirement, Volume, labels_of, only_here
from hetzner_k3s.model.text.documents import Document


def load(pods: Sequence[Document], volumes: Sequence[Document], nodes: Sequence[Document], name: str) -> NodeLoad:
    """Return what a Node carries: its own pods, and the claims whose volumes no other Node can mount."""
    own = next((node for node in nodes if name_of(node) == name), None)
    others = [node for node in nodes if name_of(node) != name and not is_cordoned(node)]
    return NodeLoad(
        pods=tuple(map(pod, pods)),
        local_claims=only_here(
            [_volume(volume) for volume in volumes if _is_held(volume)],
            _labels(own) if own is not None else labels_of(name, {}),
            map(_labels, others),
            frozenset(claim for document in pods for claim in _claims(document)),
        ),
        takes_pods=own is not None and not is_cordoned(own),
    )


def _labels(node: Document) -> Labels:
    return labels_of(name_of(node), node.child("metadata").text_map("labels"))


def _claims(document: Document) -> list[str]:
    namespace = document.child("metadata").text("namespace")
    volumes = document.child_or_empty("spec").children_or_none("volumes")
    claims = (v.child("persistentVolumeClaim") for v in volumes if "persistentVolumeClaim" in v)
    return [f"{namespace}/{claim.text('claimName')}" for claim in claims]


def _is_held(volume: Document) -> bool:
    """Check whether somebody's data is in a volume: it is bound, or was and is kept."""
    spec, phase = volume.child_or_empty("spec"), volume.child_or_empty("status").text_or("phase")
    kept = phase == "Released" and spec.text_or("persistentVolumeReclaimPolicy") == "Retain"
    return "claimRef" in spec and (phase == "Bound" or kept)


def _volume(volume: Document) -> Volume:
    spec = volume.child("spec")
    claim = spec.child("claimRef")
    terms = spec.child_or_empty("nodeAffinity").child_or_empty("required").children_or_none("nodeSelectorTerms")
    return Volume(
        claim=f"{claim.text('namespace')}/{claim.text('name')}",
        terms=tuple(map(_term, terms)),
        on_disk="hostPath" in spec or "local" in spec,
    )


def _term(term: Document) -> tuple[Requirement, ...]:
    rules = (*term.children_or_none("matchExpressions"), *term.children_or_none("matchFields"))
    return tuple(Requirement(rule.text("key"), rule.text("operator"), rule.texts("values")) for rule in rules)
