"""What the Kubernetes API of one master says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_PROVIDER: Final = "hcloud://"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeNode:
    """A Node. `server_id` is our annotation `hetzner-k3s/server-id`; `voter` the condition EtcdIsVoter."""

    name: str
    uid: str
    ready: bool
    control_plane: bool = False
    server_id: int | None = None
    provider_id: str | None = None
    internal_ip: str | None = None
    voter: bool | None = None
    deleting: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def machine(self) -> int | None:
        """Give the id of the server it runs on: our annotation, or what the cloud controller wrote (`hcloud://<id>`)."""
        if self.server_id is not None:
            return self.server_id
        number = (self.provider_id or "").removeprefix(_PROVIDER)
        return int(number) if number.isdecimal() else None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeView:
    """One read through one master: `node_passwords` are node names with a node-password secret.

    `addons` maps the name of an object that we applied to the digest it was applied with; `lineage` comes from the
    ConfigMap `kube-system/hetzner-k3s`.
    """

    uid: str
    nodes: tuple[KubeNode, ...] = ()
    node_passwords: tuple[str, ...] = ()
    lineage: str | None = None
    addons: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> KubeNode | None:
        """Find a Node by name."""
        return next((n for n in self.nodes if n.name == name), None)
