"""The nouns of a project: what each resource is, without what can be done to it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec, FirewallRule, HealthCheck
from hetzner_k3s.lab.cloud.requests.labels import Selector
from hetzner_k3s.lab.cloud.resources.catalogue import Image, LoadBalancerType, Location, ServerType


@dataclass(slots=True, eq=False, kw_only=True)
class Resource:
    """What all resources have; `created` in UNIX seconds."""

    id: int
    name: str
    created: float
    labels: dict[str, str]


@dataclass(slots=True, eq=False, kw_only=True)
class SshKey(Resource):
    """A public key that new servers let in."""

    public_key: str
    fingerprint: str


@dataclass(slots=True, eq=False, kw_only=True)
class PlacementGroup(Resource):
    """A spread group; its members are the servers that name it."""


@dataclass(slots=True, eq=False, kw_only=True)
class PrimaryIp(Resource):
    """A public address (IPv4, or an IPv6 /64)."""

    type: str
    ip: str
    location: Location
    assignee: int | None = None
    auto_delete: bool = False
    protected: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class FloatingIp(Resource):
    """A public address (`type` is ipv4 or ipv6) that is assigned to a server (id), or to nobody."""

    description: str | None
    type: str
    ip: str
    location: Location
    server: int | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Subnet:
    """A part of a network in one network zone."""

    ip_range: ipaddress.IPv4Network
    network_zone: str
    type: str = "cloud"


@dataclass(frozen=True, slots=True)
class Route:
    """A route inside a network."""

    destination: ipaddress.IPv4Network
    gateway: ipaddress.IPv4Address


@dataclass(slots=True, eq=False, kw_only=True)
class Network(Resource):
    """A private network; `busy_until` (monotonic seconds) is the end of its queue of attachments."""

    ip_range: ipaddress.IPv4Network
    subnets: list[Subnet]
    routes: list[Route]
    protected: bool = False
    expose_routes_to_vswitch: bool = False
    busy_until: float = 0.0


@dataclass(slots=True, eq=False)
class Attachment:
    """A place in a network: reserved when asked for, visible (`ready`) when its action has succeeded."""

    network: Network
    subnet: Subnet
    ip: ipaddress.IPv4Address
    mac: str
    alias_ips: tuple[str, ...] = ()
    ready: bool = False


@dataclass(slots=True, eq=False, kw_only=True)
class Server(Resource):
    """A server; `firewalls` maps a firewall's id to `pending` or `applied`.

    `kept_disk` is the size in GB of a disk that a rescale left as it was, None where it is the type's own.
    """

    server_type: ServerType
    location: Location
    image: Image
    status: str
    ipv4: PrimaryIp | None
    ipv6: PrimaryIp | None
    ssh_keys: tuple[str, ...]
    user_data: str
    placement_group: PlacementGroup | None = None
    attachments: list[Attachment] = field(default_factory=list)
    firewalls: dict[int, str] = field(default_factory=dict)
    delete_protected: bool = False
    rebuild_protected: bool = False
    kept_disk: int | None = None

    @property
    def disk(self) -> int:
        """Return the size of its disk in GB."""
        return self.server_type.disk if self.kept_disk is None else self.kept_disk

    def attachment(self, network: Network) -> Attachment | None:
        """Return the place in a network, None when there is none."""
        return next((a for a in self.attachments if a.network is network), None)

    @property
    def has_machine(self) -> bool:
        """Check whether there is a machine behind the server that is to stay."""
        return self.status not in ("initializing", "deleting", "unknown")

    @property
    def is_public(self) -> bool:
        """Check whether the server has a public interface."""
        return self.ipv4 is not None or self.ipv6 is not None


@dataclass(slots=True, eq=False, kw_only=True)
class Volume(Resource):
    """Block storage (`size` in GB); `server` is taken when attaching is asked for, and shown while `attached`."""

    location: Location
    size: int
    format: str | None
    status: str = "creating"
    server: int | None = None
    attached: bool = False
    protected: bool = False


@dataclass(slots=True, eq=False)
class SelectorMatch:
    """A label selector and the ids of the servers that were found to match when it was last evaluated."""

    text: str
    selector: Selector
    matched: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class DescribedRule:
    """A firewall rule with its description."""

    rule: FirewallRule
    description: str | None


@dataclass(slots=True, eq=False, kw_only=True)
class Firewall(Resource):
    """Rules and what they are applied to."""

    rules: list[DescribedRule]
    servers: list[int] = field(default_factory=list)
    selectors: list[SelectorMatch] = field(default_factory=list)

    def covers(self, server_id: int) -> bool:
        """Check whether the firewall is to be applied to a server, directly or by a selector."""
        return server_id in self.servers or any(server_id in match.matched for match in self.selectors)


@dataclass(slots=True, eq=False)
class ServerTarget:
    """A server a load balancer sends to."""

    server: Server
    use_private_ip: bool


@dataclass(slots=True, eq=False)
class SelectorTarget:
    """The servers with matching labels as targets of a load balancer."""

    match: SelectorMatch
    use_private_ip: bool


Target = ServerTarget | SelectorTarget


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The options of an http or https service, with the vendor's defaults."""

    cookie_name: str = "HCLBSTICKY"
    cookie_lifetime: int = 300
    timeout_idle: int = 50
    sticky_sessions: bool = False
    redirect_http: bool = False


@dataclass(frozen=True, slots=True)
class Service:
    """A port of a load balancer; `http` is None for tcp."""

    protocol: str
    listen_port: int
    destination_port: int
    proxyprotocol: bool
    health_check: HealthCheck
    http: HttpOptions | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class LoadBalancer(Resource):
    """A load balancer; it has addresses while it is `made`, and `pushed` is what the machines were last told."""

    type: LoadBalancerType
    location: Location
    algorithm: str
    services: list[Service]
    targets: list[Target]
    ipv4: str | None = None
    ipv6: str | None = None
    public_interface: bool = True
    attachment: Attachment | None = None
    protected: bool = False
    made: bool = False
    pushed: BalancerSpec | None = None

    def selector_targets(self) -> Iterator[SelectorTarget]:
        """Return the targets that are label selectors."""
        return (target for target in self.targets if isinstance(target, SelectorTarget))
