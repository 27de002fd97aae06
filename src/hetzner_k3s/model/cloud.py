"""What exists at Hetzner, as far as a cluster is concerned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TypeVar

from hetzner_k3s.model.hetzner.belongings import Belongings


class ServerStatus(Enum):
    """A server's status in Hetzner's words; OTHER is a word that we do not know."""

    INITIALIZING = "initializing"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    OFF = "off"
    DELETING = "deleting"
    REBUILDING = "rebuilding"
    MIGRATING = "migrating"
    OTHER = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A cloud server. `private_ips` maps network id to address; addresses are None until Hetzner gave them.

    `image` are the name and the id of the image that it was made from, as far as Hetzner tells them: an image that was
    deleted since has neither. `created` is when it was made (UNIX seconds), None where that was not told. `public` are
    the families of its public addresses (`ipv4`, `ipv6`), None where that was not told. `disk` is the size of its disk
    in GB.
    """

    id: int
    name: str
    status: ServerStatus
    location: str = ""
    server_type: str = ""
    disk: int | None = None
    image: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    public_ipv4: str | None = None
    public: frozenset[str] | None = None
    private_ips: Mapping[int, str] = field(default_factory=dict)
    placement_group: int | None = None
    protected: bool = False
    created: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A private network with the ranges of its subnets."""

    id: int
    name: str
    ip_range: str
    subnets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementGroup:
    """A spread placement group (at most ten servers)."""

    id: int
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    servers: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FirewallRule:
    """One firewall rule in Hetzner's words; `port` is None for protocols without ports."""

    direction: str
    protocol: str
    port: str | None
    networks: tuple[str, ...]
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firewall:
    """A firewall with the label selectors it is applied to; `servers` are those it is on, directly or by a selector."""

    id: int
    name: str
    rules: tuple[FirewallRule, ...] = ()
    selectors: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    servers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How a load balancer finds out whether a target serves; `protocol` is tcp or http.

    One by http asks for `path`, over TLS or not, and takes the statuses that match one of `statuses` (`?` is one digit,
    `*` any) with `response` in the body.
    """

    protocol: str
    port: int
    path: str = ""
    tls: bool = False
    statuses: tuple[str, ...] = ()
    response: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancedService:
    """A port that a load balancer listens on and the one it sends to; `protocol` is tcp, http or https.

    `check` is None where it was not told.
    """

    protocol: str
    listen_port: int
    destination_port: int
    proxy_protocol: bool = False
    check: HealthCheck | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalancerTarget:
    """Whom a load balancer sends to, by private or by public addresses.

    `kind` is Hetzner's word: `label_selector`, `server` or `ip`; `name` the selector, the server's id or the address.
    """

    kind: str
    name: str
    private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancer:
    """A load balancer with its targets as they were named; `servers` are those it sends to, however named."""

    id: int
    name: str
    public_ipv4: str | None = None
    private_ips: Mapping[int, str] = field(default_factory=dict)
    services: tuple[BalancedService, ...] = ()
    targets: tuple[BalancerTarget, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    servers: frozenset[int] = frozenset()
    protected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SshKey:
    """A project's SSH key; `fingerprint` is the colon-separated MD5 that Hetzner shows."""

    id: int
    name: str
    fingerprint: str


_Listed = TypeVar("_Listed", Server, Network, PlacementGroup, Firewall, LoadBalancer, SshKey)


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudView:
    """One complete listing of the project, each tuple sorted by id.

    `ahead` are the seconds by which Hetzner's clock is ahead of this machine's; None where its answer had no date.
    `belongings` are None where nobody looked.
    """

    servers: tuple[Server, ...] = ()
    networks: tuple[Network, ...] = ()
    placement_groups: tuple[PlacementGroup, ...] = ()
    firewalls: tuple[Firewall, ...] = ()
    load_balancers: tuple[LoadBalancer, ...] = ()
    ssh_keys: tuple[SshKey, ...] = ()
    belongings: Belongings | None = None
    ahead: float | None = None

    def without(self, kind: str, resource_id: int) -> CloudView:
        """Return the listing without a resource that was deleted."""
        match kind:
            case "server":
                return replace(self, servers=_others(self.servers, resource_id))
            case "load_balancer":
                return replace(self, load_balancers=_others(self.load_balancers, resource_id))
            case "firewall":
                return replace(self, firewalls=_others(self.firewalls, resource_id))
            case "network":
                return replace(self, networks=_others(self.networks, resource_id))
            case "placement_group":
                return replace(self, placement_groups=_others(self.placement_groups, resource_id))
            case "ssh_key":
                return replace(self, ssh_keys=_others(self.ssh_keys, resource_id))
            case "volume" if self.belongings is not None:
                return replace(self, belongings=self.belongings.without_volume(resource_id))
            case _:
                return self


def _others(listed: tuple[_Listed, ...], resource_id: int) -> tuple[_Listed, ...]:
    return tuple(resource for resource in listed if resource.id != resource_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOrder:
    """What a server is asked for with; one POST carries all of it but `watched`.

    `watched` says that whoever orders it looks for it at its public address, and tells the cloud when it has come.
    """

    name: str
    server_type: str
    image: str
    location: str
    labels: Mapping[str, str]
    ssh_key: int
    network: int | None
    placement_group: int | None
    user_data: str
    ipv4: bool
    ipv6: bool
    watched: bool = False

    def is_filled_by(self, server: Server) -> bool:
        """Check whether a server runs, with an address in the network that was ordered."""
        plugged_in = self.network is None or self.network in server.private_ips
        return server.status is ServerStatus.RUNNING and plugged_in


CloudResource = Server | Network | PlacementGroup | Firewall | LoadBalancer | SshKey
