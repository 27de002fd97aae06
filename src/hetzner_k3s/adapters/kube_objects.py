"""From the Kubernetes API's JSON to our nouns, each field of its type; anything else is `Malformed`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Final

from hetzner_k3s.model import naming
from hetzner_k3s.model.kube import UNINITIALIZED, Credentials, KubeNode, Pod, leaving_of
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, note, read_note
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import Document, server_number

_ANNOTATION_DIGEST: Final = "hetzner-k3s/digest"
_CONTROL_PLANE: Final = "node-role.kubernetes.io/control-plane"
_MIRROR: Final = "kubernetes.io/config.mirror"
_NODE_PASSWORD: Final = ".node-password.k3s"


def node(document: Document) -> KubeNode:
    """Read a Node."""
    metadata = document.child("metadata")
    spec, status = document.child_or_empty("spec"), document.child_or_empty("status")
    labels, annotations = metadata.text_map("labels"), metadata.text_map("annotations")
    conditions = {c.text("type"): c.text("status") == "True" for c in status.children_or_none("conditions")}
    addresses = {a.text("type"): a.text("address") for a in status.children_or_none("addresses")}
    return KubeNode(
        name=metadata.text("name"),
        uid=metadata.text("uid"),
        ready=conditions.get("Ready", False),
        version=status.child_or_empty("nodeInfo").text_or("kubeletVersion"),
        control_plane=_CONTROL_PLANE in labels,
        server_id=server_number(annotations.get(naming.ANNOTATION_SERVER_ID, "")),
        provider_id=spec.text_or("providerID") or None,
        # The second: docs/facts/k3s.md#addresses-of-a-node.
        internal_ip=addresses.get("InternalIP") or addresses.get("ExternalIP"),
        voter=conditions.get("EtcdIsVoter"),
        deleting="deletionTimestamp" in metadata,
        leaving=leaving_of(annotations.get(naming.ANNOTATION_LEAVING), unschedulable=is_cordoned(document)),
        created=metadata.moment("creationTimestamp") if "creationTimestamp" in metadata else None,
        uninitialized=any(taint.text("key") == UNINITIALIZED for taint in spec.children_or_none("taints")),
        encryption=annotations.get(naming.ANNOTATION_ENCRYPTION),
        labels=labels,
        taints={taint_key(taint): taint.text_or("value") for taint in spec.children_or_none("taints")},
        applied=read_note(metadata.text("name"), annotations, labels),
    )


def is_cordoned(node: Document) -> bool:
    """Check whether nothing new is scheduled on a Node, whoever asked for that."""
    return node.child_or_empty("spec").flag_or("unschedulable")


def taint_key(taint: Document) -> str:
    """Return what tells a taint from the others of its Node: `key:effect`."""
    return f"{taint.text('key')}:{taint.text_or('effect')}"


def pod(document: Document) -> Pod:
    """Read a pod."""
    metadata, status = document.child("metadata"), document.child_or_empty("status")
    owners = metadata.children_or_none("ownerReferences")
    return Pod(
        namespace=metadata.text("namespace"),
        name=metadata.text("name"),
        uid=metadata.text("uid"),
        controller=next((owner.text("kind") for owner in owners if owner.flag_or("controller")), None),
        mirror=_MIRROR in metadata.text_map("annotations"),
        finished=status.text_or("phase") in ("Succeeded", "Failed"),
        ending="deletionTimestamp" in metadata,
    )


def relabelled(found: Document, change: NodeChange) -> dict[str, object]:
    """Return the merge patch that brings a Node, as it was just read, to other labels and taints.

    Its taints are one list to Kubernetes, whoever wrote which (`listType=atomic`): so it is written as it was read, but
    for ours, and only while the Node is at that version.
    """
    metadata, spec = found.child("metadata"), found.child_or_empty("spec")
    annotations, seal = note(metadata.text("name"), change.ours)
    marks: dict[str, object] = {"labels": {**change.labels, **seal}, "annotations": annotations}
    same = {key: metadata.text(key) for key in ("uid", "resourceVersion")}
    patch: dict[str, object] = {"metadata": {**same, **marks}}
    if change.taints:
        others = [t.fields for t in spec.children_or_none("taints") if taint_key(t) not in change.taints]
        ours = [_taint(name, value) for name, value in change.taints.items() if value is not None]
        patch["spec"] = {"taints": [*others, *ours]}
    return patch


def _taint(name: str, value: str) -> dict[str, str]:
    key, _, effect = name.partition(":")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})


def name_of(document: Document) -> str:
    """Return an object's name."""
    return document.child("metadata").text("name")


def node_passwords(secrets: Sequence[Document]) -> tuple[str, ...]:
    """Name the Nodes whose password a Secret keeps."""
    names = map(name_of, secrets)
    return tuple(sorted(name.removesuffix(_NODE_PASSWORD) for name in names if name.endswith(_NODE_PASSWORD)))


def password_of(name: str) -> str:
    """Name the Secret that keeps a Node's password."""
    return f"{name}{_NODE_PASSWORD}"


def digests(objects: Sequence[Document]) -> dict[str, str]:
    """Map the objects that we applied to the digest they were applied with."""
    noted = {name_of(one): digest_of(one) for one in objects}
    return {name: digest for name, digest in noted.items() if digest is not None}


def digest_of(applied: Document) -> str | None:
    """Return the digest that an object was applied with; None where it is not ours."""
    return applied.child("metadata").text_map("annotations").get(_ANNOTATION_DIGEST)


def credentials(secret: Document) -> Credentials | None:
    """Read the Secret of the cloud controller; None where a part of it is missing or is no text."""
    data, annotations = secret.text_map("data"), secret.child("metadata").text_map("annotations")
    try:
        token, network = (base64.b64decode(data[key], validate=True).decode() for key in ("token", "network"))
    except (KeyError, ValueError):
        return None
    return Credentials(token=Secret(token), network=network, applied_by=annotations.get(naming.ANNOTATION_APPLIED_BY))
