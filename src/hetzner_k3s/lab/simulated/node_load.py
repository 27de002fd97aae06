"""What a Node carries, read off the objects of the simulated API."""

from __future__ import annotations

from collections.abc import Sequence

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.model.kube import NodeLoad, Pod

_MIRROR = "kubernetes.io/config.mirror"
_HOSTNAME = "kubernetes.io/hostname"


def load(pods: Sequence[Obj], volumes: Sequence[Obj], node: str) -> NodeLoad:
    """Give the pods of a Node, and the claims whose volumes only it can mount."""
    own = [pod for pod in pods if pod.get("spec", {}).get("nodeName") == node]
    claims = [v["spec"]["claimRef"] for v in volumes if _is_bound(v) and _only_on(v, node)]
    return NodeLoad(
        pods=tuple(map(_pod, own)), local_claims=tuple(sorted(f"{c['namespace']}/{c['name']}" for c in claims))
    )


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


def _is_bound(volume: Obj) -> bool:
    return "claimRef" in volume["spec"] and (volume.get("status") or {}).get("phase") == "Bound"


def _only_on(volume: Obj, node: str) -> bool:
    terms = volume["spec"].get("nodeAffinity", {}).get("required", {}).get("nodeSelectorTerms", ())
    rules = [rule for term in terms for rule in term.get("matchExpressions", ())]
    return any(r["key"] == _HOSTNAME and r["operator"] == "In" and r["values"] == [node] for r in rules)
