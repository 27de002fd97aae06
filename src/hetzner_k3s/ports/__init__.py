"""What the product needs from the outside, as small Protocols in our words."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from hetzner_k3s.model.cloud import (
    CloudView,
    Firewall,
    FirewallRule,
    LoadBalancer,
    Network,
    PlacementGroup,
    Server,
    ServerOrder,
    SshKey,
)
from hetzner_k3s.model.hetzner.assortment import Assortment
from hetzner_k3s.model.hetzner.belongings import Belongings
from hetzner_k3s.model.hosts.contact import HostKeyPair as HostKeyPair
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.kube import TokenGrant
from hetzner_k3s.model.operations.commands import RunCommand, Stream
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot
from hetzner_k3s.model.plan import Forecast, Intent, Plan
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.state import ClusterState, LocalEvidence, MergedKubeconfig, Rescue
from hetzner_k3s.model.tokens import ClusterTokens
from hetzner_k3s.model.version import K3sVersion
from hetzner_k3s.ports.kube import Kube as Kube

R = TypeVar("R")
Heard = Callable[[Stream, bytes], None]
"""Is handed a piece of what a command printed, and where."""


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> float:
        """Return the wall-clock time as UNIX seconds."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards and count while a laptop sleeps (CLOCK_BOOTTIME)."""

    async def sleep(self, seconds: float) -> None:
        """Wait; used only between polls of a fact, never instead of one."""


class Rng(Protocol):
    """The only source of randomness."""

    def token_hex(self, nbytes: int) -> str:
        """Give `nbytes` random bytes as lower-case hexadecimal digits."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number in [low, high], for jitter and modelled latencies."""


class Cloud(Protocol):
    """Hetzner Cloud. Every method raises `CloudError`; its `fate` says whether the effect may have happened.

    Creating methods answer the existing resource when one of that name is there already *and* carries the labels that
    were asked for; otherwise a taken name raises `CloudConflict`. Deleting what is absent is success. Methods that
    start an action return when the action has ended.
    """

    async def survey(self) -> CloudView:
        """List the whole project; a listing whose distinct ids do not equal `total_entries` is listed again."""

    async def belongings(self) -> Belongings:
        """List what servers use and leave behind, as completely as `survey` does."""

    async def servers_and_groups(self) -> tuple[tuple[Server, ...], tuple[PlacementGroup, ...]]:
        """List the servers and the placement groups alone: what runs of this tool change first and last."""

    async def assortment(self, images: frozenset[str]) -> Assortment:
        """Read what Hetzner sells: server types, locations, and these images (names or ids)."""

    async def server_exists(self, server_id: int) -> bool:
        """Ask for one server by id: False only for a 404."""

    async def create_ssh_key(self, name: str, public_key: str) -> SshKey: ...

    async def create_network(self, name: str, ip_range: str, zone: str, labels: Mapping[str, str]) -> Network: ...

    async def create_placement_group(self, name: str, labels: Mapping[str, str]) -> PlacementGroup:
        """Make a spread group, or raise `CloudConflict` when the name is taken: the lock's compare-and-set."""

    async def create_firewall(
        self,
        name: str,
        rules: Sequence[FirewallRule],
        selector: str,
        labels: Mapping[str, str],
        made: Callable[[Firewall], None] | None = None,
    ) -> Firewall:
        """Make a firewall; `made` is told of a new one as soon as it exists, before it is applied everywhere."""

    async def set_firewall_rules(self, firewall_id: int, rules: Sequence[FirewallRule]) -> None: ...

    async def apply_firewall(self, firewall_id: int, selector: str) -> None:
        """Apply a firewall to all servers with a label, those to come included; one that has it already keeps it."""

    async def create_load_balancer(
        self, name: str, location: str, network_id: int | None, selector: str, labels: Mapping[str, str]
    ) -> LoadBalancer:
        """Make an lb11 with TCP 6443 -> 6443 to the servers that match `selector`.

        It sends to their addresses in a network, to their public ones where it is given none.
        """

    async def correct_load_balancer(self, balancer_id: int, network_id: int | None, selector: str) -> LoadBalancer:
        """Add what one lacks of that (`model.balancing`), as it is now; what is there already is left alone."""

    async def create_server(self, order: ServerOrder, made: Callable[[Server], None] | None = None) -> Server:
        """Ask for a server and return it once it runs and has its address in the network that was ordered.

        `made` is told of a new one as soon as Hetzner has taken the order; never of one that was there before.
        """

    def arrived(self, server_id: int, private_ip: str | None) -> None:
        """End the wait for a server that was ordered: it was spoken to, and holds this address in its network."""

    async def last_rebuild(self, server_id: int) -> float | None:
        """Return when the newest rebuild of a server ended (UNIX seconds), None when it never was rebuilt."""

    async def power_on(self, server_id: int) -> None:
        """Power a server on; one that runs is left alone."""

    async def shut_down(self, server_id: int) -> None:
        """Ask a server to shut down; it is off some time after that, or never."""

    async def power_off(self, server_id: int) -> None:
        """Cut the power of a server; one that is off is left alone."""

    async def change_type(self, server_id: int, server_type: str) -> None:
        """Give a server that is off another type; its disk stays as large as it is.

        Raises:
            CloudRefused: the type does not fit, or the server is not off.
            CloudUnavailable: it is out of stock.
        """

    async def find_server(self, name: str) -> Server | None:
        """Look a server up by its exact name."""

    async def servers(self) -> tuple[Server, ...]:
        """List all servers of the project and nothing else, as completely as `survey` does."""

    async def replace_labels(self, kind: str, resource_id: int, labels: Mapping[str, str]) -> bool:
        """Give a resource that only we write to exactly these labels; False where it is gone."""

    async def merge_labels(self, kind: str, resource_id: int, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Set labels (None removes one) on a fresh GET, since PUT replaces all; return all. `kind`: as in `delete`."""

    async def placement_group(self, group_id: int) -> PlacementGroup | None:
        """Read one placement group by id."""

    async def balanced(self, balancer_id: int) -> frozenset[int]:
        """Return the ids of the servers that a load balancer sends to now, as it found them by its selectors."""

    async def grant_of(self, token: Secret, firewall_id: int) -> TokenGrant:
        """Return what another token opens: whether that project holds the cluster's firewall."""

    async def delete_server(self, server_id: int) -> tuple[Server, ...]:
        """Delete a server, and return a complete listing in which it is not; nothing where it was gone before."""

    async def delete_unused_firewall(self, firewall_id: int, selectors: Sequence[str]) -> None:
        """Delete a firewall that has these selectors alone, which are known to match no server."""

    async def delete(self, kind: str, resource_id: int) -> None:
        """Delete by kind (server, load_balancer, firewall, network, placement_group, ssh_key, volume) and id."""


class Hosts(Protocol):
    """Hosts by verified SSH."""

    async def perform(self, target: HostTarget, operation: Operation[R]) -> R:
        """Run one host operation; raises `HostError`, or `LockLost` when the host knows of a newer lock than ours.

        A changed host key ends before anything is sent. A mutating operation whose connection is cut is settled by
        asking the host for its outcome.
        """

    async def introduce(self, target: HostTarget) -> Introduction:
        """Look at a host that nobody vouches for, and tell by which key it answered; nothing secret is sent.

        Where the target names keys, only such a host is asked. Raises `HostError`.
        """

    def stream(self, target: HostTarget, operation: Operation[Done]) -> AsyncIterator[bytes]:
        """Run a reading operation and give what it prints as it comes; raises `HostError` when it did not end well."""

    async def send(self, target: HostTarget, operation: ReceiveSnapshot, pieces: AsyncIterator[bytes]) -> None:
        """Run an operation whose stdin is a file, given in pieces; cut off, it has left nothing that counts."""

    async def run(self, target: HostTarget, command: RunCommand, heard: Heard) -> int:
        """Run a command of the user's, hand on what it prints as it comes, and return its exit status.

        It is ended where the caller is cancelled, or where it takes longer than its deadline, which is a `HostError`.
        """

    async def host_key(self, target: HostTarget) -> str:
        """Return the public key by which a host proved itself, one line: for another SSH client to check."""

    async def close(self) -> None:
        """Drop all connections."""


class Objects(Protocol):
    """The S3 bucket that the file names; raises `StorageError`."""

    async def snapshots(self, folder: str) -> tuple[StoredSnapshot, ...]:
        """List the objects that lie directly in a folder ("" is the bucket's root), with what k3s wrote beside them."""

    async def copy(self, snapshot: StoredSnapshot, folder: str, name: str) -> None:
        """Copy a snapshot within the bucket, with what k3s wrote beside it; a copy under that name is replaced."""

    async def fetch(self, snapshot: StoredSnapshot, path: str) -> None:
        """Download a snapshot into a new file (0600)."""


class Local(Protocol):
    """The operator's machine: kubeconfig and run journal."""

    def evidence(self) -> LocalEvidence:
        """Read what this machine remembers of the cluster."""

    def known_hosts(self, address: str, port: int) -> tuple[str, ...]:
        """Return the label values of the ed25519 host keys that the user's known_hosts has for an address."""

    def write_kubeconfig(self, text: Secret) -> str | None:
        """Write our contexts atomically, mode 0600; what else the file holds stays.

        Then a copy of the file as it was is kept; returns where.
        """

    def merge_kubeconfig(self, text: Secret) -> MergedKubeconfig:
        """Write our contexts likewise into the user's own kubeconfig, the one that kubectl reads unasked.

        Raises:
            LocalTrouble: that file is no kubeconfig; it is left as it is.
        """

    def token(self, token_hash: str) -> Secret | None:
        """Return the servers' token with this hash out of those that this machine was handed, or kept."""

    def agent_token(self, token_hash: str) -> Secret | None:
        """Return the agents' token with this hash out of those that this machine was handed, or kept."""

    def keep_tokens(self, tokens: ClusterTokens) -> str:
        """Keep a cluster's tokens, mode 0600, beside those that are kept already; return where they lie."""

    def snapshot(self) -> AsyncIterator[bytes]:
        """Read the snapshot file that the user named, in pieces."""

    def remove_kubeconfig(self) -> str | None:
        """Take our contexts out of the kubeconfig; with nothing else in it the file goes.

        Return where a copy of it as it was is kept, where it holds other clusters.
        """

    async def keep_rescue(self, rescue: Rescue, archive: AsyncIterator[bytes]) -> str:
        """Unpack an archive of a host's data (compressed tar, SHA256SUMS first), check it, and say where it lies.

        Raises:
            DamagedRescue: a file is missing or differs from its checksum; nothing is left that looks like a rescue.
        """

    def record(self, event: str, detail: Mapping[str, str]) -> None:
        """Append a line to the run journal."""

    def run_is_dead(self, run: str) -> bool:
        """Check whether that run's journal lies here and nobody holds its lock any more."""


class Releases(Protocol):
    """k3s' release channels; raises `ProductError`."""

    async def newest(self) -> Mapping[str, K3sVersion]:
        """Return the newest release of each line (`v1.36`)."""

    async def channels(self) -> Mapping[str, K3sVersion]:
        """Return the newest release of each channel: of each line, and of `stable`, `latest` and the like."""


class HostKeys(Protocol):
    """Makes SSH host keys."""

    def generate(self) -> HostKeyPair:
        """Make an ed25519 key pair."""


class Transcript(Protocol):
    """The debug transcript of a run; writing it never fails."""

    def decided(self, state: ClusterState, intent: Intent, decision: Plan | Forecast) -> None:
        """Take note of a decision and of what it was made from."""

    def remark(self, what: str) -> None:
        """Take note of what did not go well and harms nothing."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything outside, passed down as one value."""

    cloud: Cloud
    hosts: Hosts
    kube: Kube
    local: Local
    host_keys: HostKeys
    clock: Clock
    rng: Rng
    objects: Objects | None = None
    """None where the file names no S3."""
    releases: Releases | None = None
    """None where nobody may be asked: in the lab."""
    transcript: Transcript | None = None
    """None where nobody keeps one: in tests and in the soak."""
