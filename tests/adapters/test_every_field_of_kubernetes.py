"""All that is read of what Kubernetes tells, field by field: what one of them means is tested elsewhere."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from inline_snapshot import snapshot
from tests.fields import plain

from hetzner_k3s.adapters import kube_load, kube_objects
from hetzner_k3s.model.kubernetes.node_labels import NodeChange, NodeKeys
from hetzner_k3s.model.text.documents import Document, Malformed

_NODE: dict[str, Any] = {
    "metadata": {
        "name": "prod-master1",
        "uid": "u",
        "labels": {"node-role.kubernetes.io/control-plane": "true", "tier": "gold"},
        "annotations": {
            "hetzner-k3s/server-id": "7",
            "hetzner-k3s/leaving": "drained",
            "k3s.io/encryption-config-hash": "start-ab",
        },
        "creationTimestamp": "2026-11-29T12:00:00Z",
        "deletionTimestamp": "2026-11-29T13:00:00Z",
        "resourceVersion": "12",
    },
    "spec": {
        "providerID": "hcloud://7",
        "unschedulable": True,
        "taints": [
            {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
            {"key": "tier", "effect": "NoExecute"},
        ],
    },
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "EtcdIsVoter", "status": "False"}],
        "addresses": [{"type": "Hostname", "address": "h"}, {"type": "InternalIP", "address": "10.0.0.2"}],
    },
}


@pytest.mark.parametrize(
    ("addresses", "seen"),
    [
        ([("InternalIP", "10.0.0.2"), ("ExternalIP", "198.51.100.7")], "10.0.0.2"),
        ([("ExternalIP", "198.51.100.7"), ("Hostname", "h")], "198.51.100.7"),
        ([("Hostname", "h")], None),
    ],
)
def test_a_node_is_at_its_internal_ip_or_where_no_network_is_known_at_its_external_one(
    addresses: list[tuple[str, str]], seen: str | None
) -> None:
    rows = [{"type": kind, "address": address} for kind, address in addresses]
    found = Document({**_NODE, "status": {"addresses": rows}})
    assert kube_objects.node(found).internal_ip == seen


def test_a_node() -> None:
    assert plain(kube_objects.node(Document(_NODE))) == snapshot(
        {
            "name": "prod-master1",
            "uid": "u",
            "ready": True,
            "version": "",
            "control_plane": True,
            "server_id": 7,
            "provider_id": "hcloud://7",
            "internal_ip": "10.0.0.2",
            "voter": False,
            "deleting": True,
            "leaving": "DRAINED",
            "created": 1795953600.0,
            "uninitialized": True,
            "encryption": "start-ab",
            "labels": {"node-role.kubernetes.io/control-plane": "true", "tier": "gold"},
            "taints": {"node.cloudprovider.kubernetes.io/uninitialized:NoSchedule": "true", "tier:NoExecute": ""},
            "applied": None,
        }
    )
    bare = {"metadata": {"name": "n", "uid": "u"}, "spec": {"providerID": ""}}
    assert plain(kube_objects.node(Document(bare))) == snapshot(
        {
            "name": "n",
            "uid": "u",
            "ready": False,
            "version": "",
            "control_plane": False,
            "server_id": None,
            "provider_id": None,
            "internal_ip": None,
            "voter": None,
            "deleting": False,
            "leaving": None,
            "created": None,
            "uninitialized": False,
            "encryption": None,
            "labels": {},
            "taints": {},
            "applied": None,
        }
    )
    with pytest.raises(Malformed, match="creationTimestamp is no moment"):
        kube_objects.node(Document({"metadata": {"name": "n", "uid": "u", "creationTimestamp": "soon"}}))


def test_a_pod() -> None:
    metadata = {
        "namespace": "shop",
        "name": "web",
        "uid": "u",
        "deletionTimestamp": "2026-11-29T13:00:00Z",
        "annotations": {"kubernetes.io/config.mirror": "x"},
        "ownerReferences": [{"kind": "Other"}, {"kind": "ReplicaSet", "controller": True}],
    }
    bare = {key: metadata[key] for key in ("namespace", "name", "uid")}
    pods: list[dict[str, Any]] = [{"metadata": metadata}, {"metadata": bare, "status": {"phase": "Failed"}}]
    assert [plain(kube_objects.pod(Document(pod))) for pod in pods] == snapshot(
        [
            {
                "namespace": "shop",
                "name": "web",
                "uid": "u",
                "controller": "ReplicaSet",
                "mirror": True,
                "finished": False,
                "ending": True,
            },
            {
                "namespace": "shop",
                "name": "web",
                "uid": "u",
                "controller": None,
                "mirror": False,
                "finished": True,
                "ending": False,
            },
        ]
    )


def test_other_labels_and_taints_are_written_at_the_version_that_was_read() -> None:
    change = NodeChange(
        labels={"tier": "silver", "old": None},
        taints={"tier:NoExecute": None, "mine:NoSchedule": "yes", "bare:NoSchedule": ""},
        ours=NodeKeys(),
    )
    patch = kube_objects.relabelled(Document(_NODE), change)
    assert patch["spec"] == snapshot(
        {
            "taints": [
                {"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"},
                {"key": "mine", "effect": "NoSchedule", "value": "yes"},
                {"key": "bare", "effect": "NoSchedule"},
            ]
        }
    )
    assert set(patch["metadata"]) == {"uid", "resourceVersion", "labels", "annotations"}  # type: ignore[call-overload]


def test_the_cloud_controllers_secret() -> None:
    def read(token: str, network: str) -> object:
        data = {"token": token, "network": network}
        metadata = {"name": "hcloud", "annotations": {"hetzner-k3s/applied-by": "somebody"}}
        return kube_objects.credentials(Document({"metadata": metadata, "data": data}))

    good = base64.b64encode(b"prod").decode()
    assert plain(read(good, good)) == snapshot(
        {"token": {"_value": "prod"}, "network": "prod", "applied_by": "somebody"}
    )
    assert [read(good, bad) for bad in ("?" + good, "/w==", "cHJv=ZA")] == [None, None, None]


def _volume(phase: str, policy: str = "Delete", **spec: object) -> Document:
    held = {"claimRef": {"namespace": "shop", "name": phase.lower() + policy.lower()}, "local": {"path": "/data"}}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [_HERE], "matchFields": []}]}}
    return Document(
        {
            "spec": {**held, "nodeAffinity": affinity, "persistentVolumeReclaimPolicy": policy, **spec},
            "status": {"phase": phase},
        }
    )


_HERE = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["n1"]}


def test_the_data_that_a_node_alone_holds() -> None:
    nodes = [
        Document({"metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": spec})
        for name, spec in (("n1", {}), ("n2", {"unschedulable": True}))
    ]
    volumes = [_volume("Bound"), _volume("Released"), _volume("Released", "Retain"), _volume("Failed", "Retain")]
    free = Document({"spec": {"claimRef": None, "local": {"path": "/data"}}, "status": {"phase": "Bound"}})
    loads = [kube_load.load([], [*volumes, free], nodes, name) for name in ("n1", "n2", "n3")]
    assert [plain(load) for load in loads] == snapshot(
        [
            {"pods": [], "local_claims": ["shop/bounddelete", "shop/releasedretain"], "takes_pods": True},
            {"pods": [], "local_claims": [], "takes_pods": False},
            {"pods": [], "local_claims": [], "takes_pods": False},
        ]
    )
