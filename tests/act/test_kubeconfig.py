"""The kubeconfig: contexts as the Crystal tool names them, and never the CA of another cluster."""

from __future__ import annotations

import base64
import hashlib
from io import StringIO
from typing import Any

import pytest
from ruamel.yaml import YAML

from hetzner_k3s.act.handlers.kubeconfig import with_contexts
from hetzner_k3s.hosts.admin_kubeconfig import read_admin_kubeconfig
from hetzner_k3s.model.errors import WrongCluster
from hetzner_k3s.model.secrets import Secret

CA = b"-----BEGIN CERTIFICATE-----\ndefault default\n-----END CERTIFICATE-----\n"
CA_HASH = hashlib.sha256(CA).hexdigest()
SERVERS = {"prod-master1": "https://192.0.2.1:6443", "prod": "https://192.0.2.9:6443"}


def admin() -> Secret:
    """Give `/etc/rancher/k3s/k3s.yaml` in the shape that k3s writes."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "default",
                "cluster": {
                    "certificate-authority-data": base64.b64encode(CA).decode(),
                    "server": "https://127.0.0.1:6443",
                },
            }
        ],
        "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
        "current-context": "default",
        "users": [{"name": "default", "user": {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}}],
    }
    text = StringIO()
    YAML().dump(document, text)
    return Secret(text.getvalue())


def rewritten(ca_hash: str | None = CA_HASH) -> dict[str, Any]:
    text = with_contexts(read_admin_kubeconfig(admin(), "m1"), "prod", SERVERS, "prod", ca_hash).reveal()
    document: dict[str, Any] = YAML(typ="safe").load(text)
    return document


def test_there_is_a_context_for_each_way_to_the_api() -> None:
    document = rewritten()
    assert {c["name"]: c["cluster"]["server"] for c in document["clusters"]} == SERVERS
    assert {c["name"]: c["context"]["cluster"] for c in document["contexts"]} == {name: name for name in SERVERS}
    assert document["current-context"] == "prod"


def test_certificates_are_kept_as_they_are() -> None:
    document = rewritten()
    (user,) = document["users"]
    assert user["user"] == {"client-certificate-data": "Y2VydA==", "client-key-data": "a2V5"}
    assert {c["context"]["user"] for c in document["contexts"]} == {user["name"]}
    assert {base64.b64decode(c["cluster"]["certificate-authority-data"]) for c in document["clusters"]} == {CA}


@pytest.mark.parametrize("ca_hash", ["0" * 64, None])
def test_another_ca_than_the_token_pins_is_not_written(ca_hash: str | None) -> None:
    with pytest.raises(WrongCluster):
        rewritten(ca_hash)
