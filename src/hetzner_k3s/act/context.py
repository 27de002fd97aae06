"""What a handler is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hetzner_k3s.model import lookup
from hetzner_k3s.model.cloud import CloudResource, Server
from hetzner_k3s.model.hosts.contact import HostTarget, InternalIps, host_target
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import ClusterSpec, MasterSpec, WorkerSpec
from hetzner_k3s.model.state import ClusterState
from hetzner_k3s.ports import HostKeyPair, Ports


@dataclass(slots=True)
class HostKeyRing:
    """The final host keys that this run made, by server name; lost with the run.

    See docs/architecture.md#host-keys.
    """

    final: dict[str, HostKeyPair] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a step is carried out with: `state` is the observation it was decided on, `fence` the operator lock's id."""

    ports: Ports
    spec: ClusterSpec
    state: ClusterState
    fence: int
    key_ring: HostKeyRing
    say: Callable[[str, str], None]
    """Report progress: server or resource name, what happens to it."""
    learn: Callable[[Outcome], None] = lambda _: None
    """Report what is true already while the step goes on, so that what waits only for that need not wait longer."""

    holder: str = ""
    """In whose name the run works, as in the operator lock."""

    def internal_ips(self) -> InternalIps:
        """Find the cluster's private network."""
        return lookup.internal_ips(self.spec, self.state.view)

    def server(self, server_id: int) -> Server:
        """Find a server that the plan named."""
        return next(s for s in self.state.view.servers if s.id == server_id)

    def wanted(self, name: str) -> MasterSpec | WorkerSpec:
        """Return what the file wants of the server of that name; of a master beyond it, what it would want."""
        beyond = self.spec.master_beyond(name)
        return next(s for s in (*self.spec.servers(), *filter(None, [beyond])) if s.name == name)

    def target(self, server_id: int) -> HostTarget:
        """Return how a server is reached."""
        return self.target_of(self.server(server_id))

    def target_of(self, server: Server) -> HostTarget:
        """Return how a server with these labels is reached.

        One without an address is our bug: the plan waits for it.
        """
        target = host_target(self.spec, server, self.internal_ips())
        if target is None:
            raise LookupError(f"{server.name} has no address")
        return target


@dataclass(frozen=True, slots=True)
class LabelChange:
    """Labels that were set (or with None removed) on a resource; `kind` is as `Cloud.merge_labels` takes it."""

    kind: str
    resource_id: int
    labels: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Gone:
    """A resource that was deleted; `kind` is as `Cloud.delete` takes it."""

    kind: str
    resource_id: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Facts that a step learned, folded into the state without another listing.

    Labels come as changes, never as the whole resource: a step knows the others' labels from before it began, and
    folding those would undo what steps beside it have learned (a host key that was replaced meanwhile, say).
    """

    resources: tuple[CloudResource, ...] = ()
    labels: tuple[LabelChange, ...] = ()
    gone: tuple[Gone, ...] = ()
    """What was deleted, whatever an older listing says."""
    listed: tuple[Server, ...] = ()
    """Servers of a complete listing that was read meanwhile; who is new in it was unknown before."""
    snapshots: tuple[StoredSnapshot, ...] = ()
    """What lies in S3 by now."""
    ordered: frozenset[int] = frozenset()
    """Servers (ids) that Hetzner answered as new to an order of this run."""


Handler = Callable[[Any, Context], Awaitable[Outcome]]
