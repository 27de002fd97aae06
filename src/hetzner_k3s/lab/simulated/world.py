"""A whole world: cloud, hosts, k3s, and the machines of those who operate it, on one virtual clock and one seed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hetzner_k3s.lab.cloud.cloud import Cloud
from hetzner_k3s.lab.cloud.project import Project
from hetzner_k3s.lab.cloud.records import Server
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.host_keys import SimulatedHostKeys
from hetzner_k3s.lab.simulated.machines import SimulatedMachines
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.lab.simulated.operator_machine import OperatorMachine, SimulatedLocal
from hetzner_k3s.lab.simulated.site import Site
from hetzner_k3s.lab.simulated.virtual_time import LoopClock
from hetzner_k3s.lab.simulated.wires.hetzner_transport import HetznerTransport
from hetzner_k3s.lab.simulated.wires.kube_transport import KubeNetwork
from hetzner_k3s.lab.simulated.wires.objects import SimulatedObjects
from hetzner_k3s.lab.simulated.wires.obstacles import Obstacle
from hetzner_k3s.lab.simulated.wires.ssh_transport import SimulatedHosts

TOKEN = "simulated-token"
OTHER_TOKEN = "token-of-another-project"
_PROJECT = "main"


@dataclass(frozen=True, slots=True)
class Session:
    """One run's way into the world: what its ports are made of (`cli/simulated.py`), and what it tried to change."""

    run: str
    moments: Moments
    token: str
    hetzner: HetznerTransport
    hosts: SimulatedHosts
    kube: KubeNetwork
    objects: SimulatedObjects
    obstacles: list[Obstacle]
    machine: OperatorMachine
    local: SimulatedLocal
    host_keys: SimulatedHostKeys
    rng: Chance
    clock: LoopClock

    def end(self) -> None:
        """Let the kernel drop the lock on the run's journal, as it does however a process ends."""
        self.machine.runs[self.run] = False

    @property
    def writes(self) -> list[str]:
        """Everything this run did that could change something outside the operator's machine."""
        return [*self.hetzner.writes, *self.hosts.writes, *self.kube.writes, *self.objects.writes]


@dataclass(slots=True, eq=False)
class World:
    """Everything outside the product; made inside a running virtual-time loop, by `world`."""

    chance: Chance
    clock: LoopClock
    cloud: Cloud
    machines: SimulatedMachines
    site: Site[Host]
    laptop: OperatorMachine = field(default_factory=OperatorMachine)
    obstacles: list[Obstacle] = field(default_factory=list)
    """What stands on the ways to the APIs."""
    runs: int = 0

    @property
    def project(self) -> Project:
        """Return the cluster's project at the emulated Hetzner."""
        return self.cloud.projects[_PROJECT]

    def server(self, name: str) -> Server | None:
        """Find a server by name."""
        return next((s for s in self.project.servers.values() if s.name == name), None)

    def host(self, name: str) -> Host:
        """Return the host of a server that exists."""
        server = self.server(name)
        if server is None or server.id not in self.site.hosts:
            raise LookupError(f"{name} has no host")
        return self.site.hosts[server.id]

    def session(
        self,
        cluster: str,
        *,
        machine: OperatorMachine | None = None,
        kill_at: int | str | None = None,
        token: str = TOKEN,
        skew: float = 0.0,
    ) -> Session:
        """Open the way in for one run of the tool.

        Args:
            cluster: its name.
            machine: where it runs; the world's laptop unless another one is given.
            kill_at: number or name of the moment at which the run dies.
            token: for which project.
            skew: seconds by which that machine's clock is ahead.
        """
        self.runs += 1
        chance = self.chance.fork(f"run-{self.runs}")
        machine, run = machine or self.laptop, f"run{self.runs}-{chance.token_hex(4)}"
        moments = Moments(kill_at=kill_at)
        hosts = SimulatedHosts(self.site, moments, chance.fork("ssh"), machine.address)
        return Session(
            run=run,
            moments=moments,
            token=token,
            hetzner=HetznerTransport(self.cloud, moments),
            hosts=hosts,
            kube=KubeNetwork(hosts, moments, chance.fork("kube")),
            objects=SimulatedObjects(self.site.bucket, moments, chance.fork("s3")),
            obstacles=self.obstacles,
            machine=machine,
            local=SimulatedLocal(machine, cluster, run, moments),
            host_keys=SimulatedHostKeys(chance.fork("keys")),
            rng=chance.fork("product"),
            clock=LoopClock(skew),
        )

    def check(self) -> None:
        """Raise what went wrong in the simulation itself."""
        if self.site.bugs:
            raise RuntimeError("the simulation has a bug") from self.site.bugs[0]


@asynccontextmanager
async def world(seed: int, latency: str = "typical") -> AsyncIterator[World]:
    """Make a world for the length of a block; `latency` is a profile of the emulated cloud."""
    chance, clock, machines = Chance(seed), LoopClock(), SimulatedMachines()
    tokens = {TOKEN: _PROJECT, OTHER_TOKEN: "other"}
    cloud = Cloud(clock, chance.fork("cloud"), machines, latency, tokens)
    site: Site[Host] = Site(clock, chance.fork("site"), lambda number: number in cloud.projects[_PROJECT].servers)
    machines.site = site
    driver = asyncio.create_task(cloud.run())
    try:
        yield World(chance.fork("world"), clock, cloud, machines, site)
    finally:
        for host in site.hosts.values():
            host.power_off()
        driver.cancel()
        await asyncio.gather(driver, return_exceptions=True)
