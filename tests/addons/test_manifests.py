"""What is applied to every cluster, and the digests by which a second run sees that nothing is to be done."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hetzner_k3s import addons
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import AddonsSpec, ClusterSpec, KubernetesNetworkSpec, MasterSpec, SshSpec
from hetzner_k3s.model.version import K3sVersion

SPEC = ClusterSpec(
    name="prod",
    hetzner_token=Secret("the-token"),
    kubeconfig_path="/nowhere",
    k3s_version=K3sVersion.parse("v1.36.3+k3s1"),
    masters=(MasterSpec(name="prod-master1", index=1, location="fsn1", instance_type="cpx22", image="debian-13"),),
    ssh=SshSpec(private_key_path=None, public_key_path="/nowhere.pub", public_key="ssh-ed25519 AAAA"),
)


def applied(spec: ClusterSpec) -> dict[str, Mapping[str, Any]]:
    return {m["metadata"]["name"]: m for m in addons.manifests(spec)}  # type: ignore[index]


def values(chart: Mapping[str, Any]) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(chart["spec"]["valuesContent"])
    return decoded


def test_the_secret_holds_what_both_programs_read() -> None:
    secret: Mapping[str, Any] = addons.credentials(SPEC, "anna@laptop")
    data = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
    assert (secret["kind"], secret["metadata"]["namespace"]) == ("Secret", "kube-system")
    assert data == {"token": "the-token", "network": "prod"}
    assert secret["metadata"]["annotations"] == {"hetzner-k3s/applied-by": "anna@laptop"}


def test_the_cloud_controller_is_installed_before_anything_can_be_scheduled() -> None:
    spec = replace(SPEC, kubernetes_network=KubernetesNetworkSpec(cluster_cidr="10.99.0.0/16"))
    chart = applied(spec)["hcloud-cloud-controller-manager"]
    assert chart["apiVersion"] == "helm.cattle.io/v1"
    assert chart["spec"]["bootstrap"] is True
    assert values(chart) == {"networking": {"enabled": True, "clusterCIDR": "10.99.0.0/16"}}


def test_each_addon_can_be_left_out() -> None:
    spec = replace(SPEC, addons=AddonsSpec(csi_driver=False, cloud_controller_manager=False))
    assert set(applied(spec)) == set() == set(addons.digests(spec))


def test_cert_manager_is_there_when_asked_for_in_a_namespace_of_its_own() -> None:
    assert "cert-manager" not in applied(SPEC)
    chart = applied(replace(SPEC, addons=AddonsSpec(cert_manager=True)))["cert-manager"]
    spec = {key: chart["spec"][key] for key in ("repo", "version", "targetNamespace", "createNamespace")}
    assert spec == {
        "repo": "https://charts.jetstack.io",
        "version": "v1.21.2",
        "targetNamespace": "cert-manager",
        "createNamespace": True,
    }
    assert values(chart) == {"crds": {"enabled": True}, "startupapicheck": {"enabled": False}}


def test_digests_are_those_on_the_objects() -> None:
    on_objects = {name: m["metadata"]["annotations"][addons.ANNOTATION_DIGEST] for name, m in applied(SPEC).items()}
    assert on_objects == addons.digests(SPEC)


def test_another_operators_token_changes_no_digest() -> None:
    """Each run would else undo the other's: whether a token is good is asked of Hetzner, not of its bytes."""
    assert addons.digests(SPEC) == addons.digests(replace(SPEC, hetzner_token=Secret("another")))


def test_no_chart_holds_the_token() -> None:
    charts = [m for m in addons.manifests(SPEC) if m["kind"] == "HelmChart"]
    assert "the-token" not in json.dumps(charts)
    assert base64.b64encode(b"the-token").decode() not in json.dumps(charts)
