"""What the Kubernetes API of one master says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from hetzner_k3s.model.kubernetes.addons_of_2x import AddonFound
from hetzner_k3s.model.kubernetes.node_labels import NodeKeys
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import server_number

_PROVIDER: Final = "hcloud://"

UNINITIALIZED: Final = "node.cloudprovider.kubernetes.io/uninitialized"
"""The taint of a Node that no cloud controller has seen yet: no pod is put there, and k3s ends after 15 minutes."""


class Leaving(Enum):
    """How far a Node has come on its way out: our annotation `hetzner-k3s/leaving`."""

    CORDONED = "cordoned"
    DRAINED = "drained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """A pod on a Node: `controller` is the kind of what would start it elsewhere, `ending` that it was told to end."""

    namespace: str
    name: str
    uid: str
    controller: str | None
    mirror: bool = False
    finished: bool = False
    ending: bool = False

    @property
    def stays(self) -> bool:
        """Check whether it goes with its Node: a DaemonSet's, the kubelet's own, or one that has ended."""
        return self.controller == "DaemonSet" or self.mirror or self.finished


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLoad:
    """What a Node carries: its pods, and the claims (`namespace/name`) whose volumes no other Node can mount.

    `takes_pods` tells that it is not cordoned, so that more may come at any moment.
    """

    pods: tuple[Pod, ...] = ()
    local_claims: tuple[str, ...] = ()
    takes_pods: bool = False


@dataclass(frozen=True, slots=True)
class BeforeStart:
    """What was there before k3s was started on a host: what its Node shows then must be newer, and of that host.

    `heartbeat` is when the Node's lease was last renewed, as the API writes it (None: never); `address` is the
    InternalIP that the Node must have, None where that proves nothing.
    """

    heartbeat: str | None
    address: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeNode:
    """A Node. `server_id` is our annotation `hetzner-k3s/server-id`; `voter` the condition EtcdIsVoter.

    `leaving` is our mark on one that is cordoned because it goes; without it a cordoned one is the user's affair.
    `created` is when it registered (UNIX seconds).
    `uninitialized` is the taint that the kubelet puts on it for a cloud controller to take off.
    `taints` are its taints as `key:effect` and value, None where nobody has read them, as of a Node that is foreseen.
    `applied` are the keys of labels and taints that it remembers as ours, None where it remembers nothing.
    `encryption` is k3s' annotation `k3s.io/encryption-config-hash` (`<stage>-<digest>`), where secrets are encrypted.
    """

    name: str
    uid: str
    ready: bool
    version: str = ""
    """The release of k3s that its kubelet is of."""
    control_plane: bool = False
    server_id: int | None = None
    provider_id: str | None = None
    internal_ip: str | None = None
    voter: bool | None = None
    deleting: bool = False
    leaving: Leaving | None = None
    created: float | None = None
    uninitialized: bool = False
    encryption: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Mapping[str, str] | None = None
    applied: NodeKeys | None = None

    @property
    def machine(self) -> int | None:
        """Return the id of the server it runs on: our annotation, or what the cloud controller wrote (`hcloud://<id>`)."""
        return self.provided if self.server_id is None else self.server_id

    @property
    def provided(self) -> int | None:
        """Return the id of the server that the cloud controller takes it for, which can never change."""
        number = (self.provider_id or "").removeprefix(_PROVIDER)
        return server_number(number)


class TokenGrant(Enum):
    """What a Hetzner token opens: the project that the cluster lies in, another one, or nothing any more."""

    CLUSTERS_PROJECT = "the project of the cluster"
    OTHER_PROJECT = "another project"
    NOTHING = "nothing: Hetzner does not accept it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What Secret `kube-system/hcloud` gives to the cloud controller and the CSI driver, and who put it there."""

    token: Secret
    network: str
    applied_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeView:
    """One read through one master: `node_passwords` are node names with a node-password secret.

    `addons` maps the name of a chart that we applied to the digest it was applied with; `lineage` comes from the
    ConfigMap `kube-system/hetzner-k3s`; `credentials` are None where their Secret is missing or not whole.
    `dependents` names what needs a chart that the file asks for no more; one that is not in it was not asked about.
    `of_2x` tells of a cluster that was adopted what there is under the names of each add-on that 2.x applies, by the
    name of its chart; one that is not in it could not be read.
    """

    uid: str
    nodes: tuple[KubeNode, ...] = ()
    node_passwords: tuple[str, ...] = ()
    lineage: str | None = None
    addons: Mapping[str, str] = field(default_factory=dict)
    dependents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: Credentials | None = None
    of_2x: Mapping[str, AddonFound] = field(default_factory=dict)

    def node(self, name: str) -> KubeNode | None:
        """Find a Node by name."""
        return next((n for n in self.nodes if n.name == name), None)


@dataclass(frozen=True, slots=True)
class NamedVolumes:
    """The kube-system UID of a cluster, and the ids of Hetzner's volumes that its PersistentVolumes name."""

    uid: str
    ids: frozenset[int] = frozenset()


def leaving_of(annotation: str | None, *, unschedulable: bool) -> Leaving | None:
    """Read our mark off a Node; one that somebody uncordoned is not leaving any more."""
    known = annotation in {stage.value for stage in Leaving}
    return Leaving(annotation) if known and unschedulable else None
