"""A project: the resources one token sees, and the world they live in."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field

from hetzner_k3s.lab.cloud import limits
from hetzner_k3s.lab.cloud.actions import Action, ActionLog, Subject
from hetzner_k3s.lab.cloud.addresses import PublicPool
from hetzner_k3s.lab.cloud.effects.machines import Machines
from hetzner_k3s.lab.cloud.kernel import Process, Timeline, Wait
from hetzner_k3s.lab.cloud.latency import Latency
from hetzner_k3s.lab.cloud.records import (
    Firewall,
    FloatingIp,
    LoadBalancer,
    Network,
    PlacementGroup,
    PrimaryIp,
    Resource,
    Server,
    SshKey,
    Volume,
)
from hetzner_k3s.lab.cloud.requests.errors import ApiError, already_used, conflict
from hetzner_k3s.lab.cloud.requests.ratelimit import Bucket
from hetzner_k3s.lab.cloud.resources.catalogue import Catalogue
from hetzner_k3s.ports import Clock, Rng

_FIRST_ID = 10_000_000


class Ids:
    """Ids of everything, never reused; they stay below 2**31 for clients that read 32 bits.

    See docs/facts/hetzner-api.md#ids-and-times.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(_FIRST_ID)

    def next(self) -> int:
        """Return an id that was never given before."""
        return next(self._numbers)


@dataclass(frozen=True, slots=True)
class World:
    """What all projects share."""

    clock: Clock
    rng: Rng
    machines: Machines
    latency: Latency
    timeline: Timeline
    catalogue: Catalogue
    quotas: limits.Quotas = field(default_factory=limits.Quotas)
    ids: Ids = field(default_factory=Ids)
    pool: PublicPool = field(default_factory=PublicPool)

    def pause(self, step: str) -> Wait:
        """Return the modelled duration of a step to a process."""
        return Wait(self.latency.seconds(step))


class Project:
    """The resources of one project.

    Args:
        name: how people call it.
        world: what it shares with other projects.
    """

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.actions = ActionLog(world.clock.now, world.ids.next)
        self.bucket = Bucket(limits.REQUESTS_PER_HOUR, world.clock.now)
        self.ssh_keys: dict[int, SshKey] = {}
        self.placement_groups: dict[int, PlacementGroup] = {}
        self.networks: dict[int, Network] = {}
        self.firewalls: dict[int, Firewall] = {}
        self.primary_ips: dict[int, PrimaryIp] = {}
        self.floating_ips: dict[int, FloatingIp] = {}
        self.servers: dict[int, Server] = {}
        self.load_balancers: dict[int, LoadBalancer] = {}
        self.volumes: dict[int, Volume] = {}
        self.refresh_pending = False

    def begin(self, command: str, work: Process, *subjects: Subject, owner: int | None = None) -> Action:
        """Start an action whose work is a process; `owner` is the resource whose deletion ends it."""
        action = self.actions.begin(command, *subjects)
        self.world.timeline.start(self.actions.carry_out(action, work), owner=owner)
        return action

    def require_unlocked(self, subject: Subject) -> None:
        """Refuse a change while another action of the resource is running."""
        if self.actions.busy(subject):
            raise ApiError("locked", f"cannot perform operation because {subject[0].replace('_', ' ')} is locked")

    def require_idle(self, subject: Subject) -> None:
        """Refuse a change of a network, firewall or load balancer while another one is running."""
        if self.actions.busy(subject):
            raise conflict(subject[0])


def require_unique(name: str, others: Iterable[Resource], what: str, but: Resource | None = None) -> None:
    """Refuse a name that another resource has."""
    if any(other.name == name and other is not but for other in others):
        raise already_used(what)
