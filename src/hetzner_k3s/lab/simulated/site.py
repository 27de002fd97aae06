"""What all simulated hosts share: time, chance, the network between them, and the count of births."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec
from hetzner_k3s.lab.k3s.etcd.model_peers import Peers
from hetzner_k3s.lab.k3s.setup.timing import TYPICAL, Timing
from hetzner_k3s.lab.simulated.bucket import Bucket
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.databases import Database
from hetzner_k3s.ports import Clock


class Standing(Protocol):
    """What a site asks of that which stands on it."""

    @property
    def server_id(self) -> int:
        """Return the number of its server at Hetzner."""
        ...

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return its private addresses, then its public one."""
        ...

    @property
    def awake(self) -> bool:
        """Check whether it runs and is not frozen."""
        ...

    def lets_in(self, address: str, port: int, source: str | None) -> bool:
        """Check whether a connection to one of its addresses gets through its firewalls."""
        ...


H = TypeVar("H", bound=Standing)

_ETCD_PORT: Final = 2380


@dataclass(frozen=True, slots=True)
class Birth:
    """A start of etcd for a new cluster: what invariant I9 counts."""

    at: float
    host: str
    ca: str


@dataclass(slots=True, eq=False)
class Site(Generic[H]):
    """The place where hosts stand.

    Args:
        clock, chance: the world's.
        server_exists: asks the cloud about a server id, as its controller in the cluster does.
        timing: how long k3s takes.
    """

    clock: Clock
    chance: Chance
    server_exists: Callable[[int], bool]
    timing: Timing = TYPICAL
    hosts: dict[int, H] = field(default_factory=dict)
    balancers: dict[int, BalancerSpec] = field(default_factory=dict)
    births: list[Birth] = field(default_factory=list)
    bugs: list[BaseException] = field(default_factory=list)
    """What ended a task of a host and should not have: faults of the simulation, never of what it simulates."""
    cut: set[frozenset[int]] = field(default_factory=set)
    """Pairs of server ids between which no packet passes."""
    alarms: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Server name -> what its etcd complains of (`NOSPACE`, `CORRUPT`)."""
    skew: dict[str, float] = field(default_factory=dict)
    """Server name -> seconds by which its host's clock is ahead."""
    bucket: Bucket = field(default_factory=Bucket)
    """The S3 bucket that the hosts' configurations and the operators' files name."""
    cloud_controller_after: float = 0.0
    """Seconds after a Node's registration in which Hetzner's cloud controller does not initialize it: it is pulled."""
    failing_commands: dict[str, str] = field(default_factory=dict)
    """Server name -> what its next first boot notes of a command that fails."""
    crash_on_start: dict[str, str] = field(default_factory=dict)
    """Server name -> the last words of every k3s that is started there."""
    databases: dict[str, Database] = field(default_factory=dict)
    """External databases by where they are."""
    peers: Peers = field(init=False)

    def __post_init__(self) -> None:
        self.peers = Peers(self.reaches, self.chance.fork("etcd"))

    def database(self, endpoint: str) -> Database:
        """Return the database at an endpoint, whoever logs in to it: there is one wherever somebody looks for one."""
        place = endpoint.rpartition("@")[2].partition("?")[0]
        if place not in self.databases:
            self.databases[place] = Database(self.peers, place)
        return self.databases[place]

    def host_at(self, address: str) -> H | None:
        """Return the host that holds an address now, private or public."""
        return next((host for host in self.hosts.values() if address in host.addresses), None)

    def reaches(self, one: str, other: str) -> bool:
        """Check whether etcd at one address reaches etcd at another."""
        a, b = self.host_at(one), self.host_at(other)
        return a is not None and b is not None and self.connected(a, b) and b.lets_in(other, _ETCD_PORT, one)

    def connected(self, one: Standing, other: Standing) -> bool:
        """Check whether two hosts reach each other now."""
        alive = one.awake and other.awake
        return alive and frozenset((one.server_id, other.server_id)) not in self.cut

    def network_changed(self) -> None:
        """Let etcd find out what has become of its links."""
        self.peers.settle()

    def utc_now(self) -> datetime.datetime:
        """Return the clock that objects are stamped with."""
        return datetime.datetime.fromtimestamp(self.clock.now(), datetime.UTC)

    def now(self) -> float:
        """Return the loop's seconds."""
        return asyncio.get_running_loop().time()
