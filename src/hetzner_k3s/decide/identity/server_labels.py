"""How a server gets the labels back by which it is known to be the cluster's."""

from __future__ import annotations

from hetzner_k3s.decide.view.context import DecisionContext
from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server

_KEY = (
    "cut -d' ' -f2 /etc/ssh/ssh_host_ed25519_key.pub | base64 -d | openssl dgst -sha256 -binary | base32 | "
    "tr A-Z a-z | tr -d ="
)


def restore_labels(context: DecisionContext, server: Server) -> str:
    """Return the sentence that says which labels a server needs; its host key can be read on its console only."""
    role = next((spec.role for spec in context.spec.servers() if spec.name == server.name), naming.ROLE_MASTER)
    labels = naming.server_labels(context.spec.name, role)
    given = " ".join(f"{key}={value}" for key, value in labels.items())
    return (
        f"give it its labels back (`hcloud server add-label {server.name} {given}`), and as "
        f"{naming.LABEL_HOST_KEY} what this prints on its console: `{_KEY}`."
    )
