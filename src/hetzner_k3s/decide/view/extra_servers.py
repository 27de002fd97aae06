"""What exists beyond the file, told by names: masters of a higher number, workers that no pool of the file has.

A name counts only under the file's own naming, so that masters under other names (another cluster_name, instance types
in names) are never taken for surplus ones. What the cluster autoscaler makes is not ours to name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from hetzner_k3s.model import lookup, naming
from hetzner_k3s.model.cloud import CloudView, Server
from hetzner_k3s.model.host import Member
from hetzner_k3s.model.kube import KubeNode, KubeView
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec

_LABEL_NODE_GROUP: Final = "hcloud/node-group"
"""What the cluster autoscaler labels its servers with (docs/facts/compatibility.md#resources)."""


def surplus_masters(spec: ClusterSpec, view: CloudView) -> tuple[MasterSpec, ...]:
    """Name the servers of ours that are masters beyond the file, by number."""
    return _in_order(spec.master_beyond(server.name) for server in lookup.owned_masters(spec.name, view))


def gone_masters(
    spec: ClusterSpec, view: CloudView, members: Iterable[Member], kube: KubeView | None
) -> tuple[MasterSpec, ...]:
    """Name the masters beyond the file that have a member or a Node and no server any more, by number."""
    nodes = (node.name for node in kube.nodes if node.control_plane) if kube else ()
    names = {*(member.node for member in members), *nodes} - {s.name for s in view.servers}
    return _in_order(spec.master_beyond(name) for name in names)


def _in_order(found: Iterable[MasterSpec | None]) -> tuple[MasterSpec, ...]:
    return tuple(sorted((m for m in found if m is not None), key=lambda m: (m.index, m.name)))


def surplus_workers(spec: ClusterSpec, view: CloudView) -> Iterator[Server]:
    """Return the servers of ours that are static workers by label and by name, and that the file does not have."""
    wanted = {worker.name for worker in spec.workers()}
    pattern = naming.worker_name_pattern(spec.name)
    for server in lookup.owned_servers(spec.name, view):
        ours = server.labels.get(naming.LABEL_ROLE) == naming.ROLE_WORKER and _LABEL_NODE_GROUP not in server.labels
        if ours and server.name not in wanted and pattern.fullmatch(server.name):
            yield server


def nodes_of_gone_workers(spec: ClusterSpec, view: CloudView, kube: KubeView) -> Iterator[KubeNode]:
    """Return the Nodes of static workers that the file does not have, and whose name no server has any more."""
    taken = {worker.name for worker in spec.workers()} | {server.name for server in view.servers}
    pattern = naming.worker_name_pattern(spec.name)
    for node in kube.nodes:
        if not node.control_plane and node.name not in taken and pattern.fullmatch(node.name):
            yield node
