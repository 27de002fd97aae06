"""What a Node carries, read off the objects of the simulated API."""

from __future__ import annotations

from collections.abc import Sequence

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.model.kube import NodeLoad, Pod
from hetzner_k3s.model.kubernetes.volumes import Labels, Requirement, Volume, labels_of, only_here

_MIRROR = "kubernetes.io/config.mirror"


def load(pods: Sequence[Obj], volumes: Sequence[Obj], nodes: Sequence[Obj], node: str) -> NodeLoad:
    """Return the pods of a Node, and the claims whose volumes only it can mount."""
    own = [pod for pod in pods if pod.get("spec", {}).get("nodeName") == node]
    itself = {n["metadata"]["name"]: n for n in nodes}.get(node)
    others = [n for n in nodes if n["metadata"]["name"] != node and not _is_cordoned(n)]
    claims = only_here(
        [_volume(v) for v in volumes if _is_held(v)],
        _labels(itself) if itself else labels_of(node, {}),
        map(_labels, others),
        frozenset(claim for pod in own for claim in _claims(pod)),
    )
    takes_pods = itself is not None and not _is_cordoned(itself)
    return NodeLoad(pods=tuple(map(_pod, own)), local_claims=claims, takes_pods=takes_pods)


def _labels(node: Obj) -> Labels:
    return labels_of(node["metadata"]["name"], node["metadata"].get("labels") or {})


def _is_cordoned(node: Obj) -> bool:
    return bool((node.get("spec") or {}).get("unschedulable"))


def _claims(pod: Obj) -> list[str]:
    volumes = (v.get("persistentVolumeClaim") for v in pod["spec"].get("volumes") or ())
    return [f"{pod['metadata']['namespace']}/{claim['claimName']}" for claim in volumes if claim]


def _pod(found: Obj) -> Pod:
    metadata = found["metadata"]
    owners = [owner["kind"] for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        controller=owners[0] if owners else None,
        mirror=_MIRROR in (metadata.get("annotations") or {}),
        finished=(found.get("status") or {}).get("phase") in ("Succeeded", "Failed"),
        ending="deletionTimestamp" in metadata,
    )


def _is_held(volume: Obj) -> bool:
    phase = (volume.get("status") or {}).get("phase")
    kept = phase == "Released" and volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain"
    return "claimRef" in volume["spec"] and (phase == "Bound" or kept)


def _volume(volume: Obj) -> Volume:
    spec = volume["spec"]
    terms = spec.get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", ())
    claim = f"{spec['claimRef']['namespace']}/{spec['claimRef']['name']}"
    return Volume(claim=claim, terms=tuple(map(_term, terms)), on_disk="hostPath" in spec or "local" in spec)


def _term(term: Obj) -> tuple[Requirement, ...]:
    rules = (*term.get("matchExpressions", ()), *term.get("matchFields", ()))
    return tuple(Requirement(rule["key"], rule["operator"], tuple(rule.get("values", ()))) for rule in rules)
