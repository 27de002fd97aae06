"""What the product needs of Kubernetes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.kube import BeforeStart, KubeView, Leaving, NamedVolumes, NodeLoad, Pod
from hetzner_k3s.model.kubernetes.addons_of_2x import AddonFound, ObjectName
from hetzner_k3s.model.kubernetes.node_labels import NodeChange
from hetzner_k3s.model.kubernetes.run_history import PastRun, RunHistory


class Kube(Protocol):
    """The Kubernetes API of one master at a time, by an SSH forward to its own 127.0.0.1:6443; raises `KubeError`."""

    async def view(self, master: HostTarget) -> KubeView:
        """Read Nodes, node-password secrets, the lineage and what we applied."""

    async def delete_node(self, master: HostTarget, name: str, uid: str, *, release: bool = False) -> None:
        """Delete a Node if it still has this UID, and wait until it is gone.

        With `release`, k3s' own finalizers are taken off one that does not go in seconds; those of others stay.
        """

    async def drop_node(self, master: HostTarget, name: str, uid: str) -> None:
        """Delete the Node of a lost master if it still has this UID, and take all its finalizers off.

        Whoever put them there waits for a machine that is gone, and k3s' own for a member that cannot go.
        """

    async def delete_node_password(self, master: HostTarget, name: str) -> None:
        """Delete the Secret `kube-system/<name>.node-password.k3s` if it is there."""

    async def annotate_node(
        self, master: HostTarget, name: str, annotations: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        """Set annotations and labels on a Node."""

    async def label_node(self, master: HostTarget, name: str, uid: str, change: NodeChange) -> None:
        """Change labels and taints of a Node if it still has this UID, and note there which are ours."""

    async def last_heartbeat(self, master: HostTarget, name: str) -> str | None:
        """Read when a Node's lease was last renewed, as the API writes it; None where it never was."""

    async def wait_node_ready(
        self, master: HostTarget, name: str, deadline: float, before: BeforeStart | None = None
    ) -> None:
        """Look at a Node until it is Ready (seconds): with `before` by a newer heartbeat, and under that address.

        Raises:
            DeadlineExceeded: it did not come to that.
        """

    async def mark_leaving(self, master: HostTarget, name: str, stage: Leaving | None) -> None:
        """Cordon a Node and note that it leaves and how far that has come; None: undo what of that was ours."""

    async def load_of(self, master: HostTarget, node: str) -> NodeLoad:
        """Read what a Node carries."""

    async def evict(self, master: HostTarget, pod: Pod) -> bool:
        """Ask a pod to end, if it is still this one; False while its disruption budget does not allow that."""

    async def apply(self, master: HostTarget, manifests: Sequence[Mapping[str, object]]) -> None:
        """Server-side apply objects, in order, with our field manager."""

    async def dependents(self, master: HostTarget, chart: str) -> tuple[str, ...]:
        """Name the volumes and Services that nobody would look after without this chart of ours."""

    async def named_volumes(self, master: HostTarget) -> NamedVolumes:
        """Read which of Hetzner's volumes the cluster's PersistentVolumes name."""

    async def remove_chart(self, master: HostTarget, name: str, digest: str) -> None:
        """Delete a HelmChart if it still has this digest, and wait until k3s has uninstalled it.

        Raises:
            DeadlineExceeded: it did not come to that.
        """

    async def addon_of_2x(self, master: HostTarget, chart: str) -> AddonFound:
        """Read what there is under the names of an add-on that hetzner-k3s 2.x applies, by its chart's name."""

    async def clear_way(self, master: HostTarget, chart: str, workloads: Mapping[ObjectName, str]) -> None:
        """Make room for a chart: delete these workloads (by UID) with their pods, then what only those pods used.

        What volumes rely on is marked before as the chart's.

        Raises:
            DeadlineExceeded: pods did not end.
        """

    async def past_runs(self, master: HostTarget) -> RunHistory:
        """Read the last runs that changed the cluster, those of other operators too."""

    async def note_run(self, master: HostTarget, run: PastRun) -> None:
        """Add a run to them, once however often it is noted; the oldest goes."""

    async def close(self) -> None:
        """Drop all connections."""
