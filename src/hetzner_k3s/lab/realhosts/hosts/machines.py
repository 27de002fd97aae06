"""The cloud's servers as real Debian hosts: `lab.cloud.machines.Machines` on containers, overlays and namespaces."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from pathlib import Path

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec, FirewallRule, MachineSpec, PrivateNic
from hetzner_k3s.lab.realhosts.hosts.cgroups import ControlGroup
from hetzner_k3s.lab.realhosts.hosts.container import Chassis, Container
from hetzner_k3s.lab.realhosts.hosts.disk import Disk
from hetzner_k3s.lab.realhosts.network.fabric import Fabric
from hetzner_k3s.lab.realhosts.network.links import host_namespace
from hetzner_k3s.lab.realhosts.network.load_balancer import Balancer
from hetzner_k3s.lab.realhosts.network.namespaces import named_namespace


@dataclasses.dataclass(frozen=True, slots=True)
class Plant:
    """What machines are built from: a folder for disks, the layers below them, control group, kind of disk.

    `native_disks`: see Disk. `check_pace` turns the interval of a balancer's health check into the one to keep.
    """

    folder: Path
    layers: tuple[Path, ...]
    group: ControlGroup
    native_disks: bool
    check_pace: Callable[[float], float]


@dataclasses.dataclass(slots=True)
class _Host:
    spec: MachineSpec
    disk: Disk
    container: Container
    disks_made: int
    lock: asyncio.Lock  # one operation at a time on a host


class RealMachines:
    """Implements `Machines`; see there for what each call does. An unknown server id raises KeyError."""

    def __init__(self, plant: Plant, fabric: Fabric) -> None:
        self._plant = plant
        self._fabric = fabric
        self._hosts: dict[int, _Host] = {}
        self._balancers: dict[int, Balancer] = {}
        self._wiring = asyncio.Lock()  # networks come and go, and balancers listen in them

    @property
    def specs(self) -> list[MachineSpec]:
        """List what the present machines are made from."""
        return [host.spec for host in self._hosts.values()]

    def group(self, server_id: int) -> ControlGroup:
        """Name a host's control group."""
        return self._plant.group.child(str(server_id))

    async def create(self, spec: MachineSpec) -> None:
        disk = Disk(self._plant.folder / str(spec.server_id), self._plant.layers, self._plant.native_disks)
        host = _Host(spec, disk, self._container(spec, disk), disks_made=1, lock=asyncio.Lock())
        self._hosts[spec.server_id] = host
        async with host.lock:
            await asyncio.to_thread(disk.make, spec, host.disks_made)
            for nic in spec.private:
                await self._join(spec.server_id, nic)

    async def power_on(self, server_id: int) -> None:
        host = self._hosts[server_id]
        async with host.lock:
            await host.container.start()

    async def power_off(self, server_id: int) -> None:
        host = self._hosts[server_id]
        async with host.lock:
            await host.container.kill()

    async def shutdown(self, server_id: int) -> None:
        self._hosts[server_id].container.shutdown()

    async def reboot(self, server_id: int) -> None:
        self._hosts[server_id].container.reboot()

    async def reset(self, server_id: int) -> None:
        host = self._hosts[server_id]
        async with host.lock:
            await host.container.kill()
            await host.container.start()

    async def rebuild(self, spec: MachineSpec) -> None:
        host = self._hosts[spec.server_id]
        async with host.lock:
            await host.container.kill()
            await asyncio.to_thread(host.disk.destroy)
            host.spec = spec
            host.disks_made += 1
            await asyncio.to_thread(host.disk.make, spec, host.disks_made)
            await host.container.start()

    async def attach(self, server_id: int, nic: PrivateNic) -> None:
        host = self._hosts[server_id]
        async with host.lock:
            position = len(host.spec.private)
            host.spec = dataclasses.replace(host.spec, private=(*host.spec.private, nic))
            await self._join(server_id, nic)
            if host.container.is_running:
                await self._fabric.plug_private(server_id, nic, position)

    async def detach(self, server_id: int, network_id: int) -> None:
        host = self._hosts[server_id]
        async with host.lock:
            kept = tuple(nic for nic in host.spec.private if nic.network_id != network_id)
            host.spec = dataclasses.replace(host.spec, private=kept)
            await self._leave(server_id, network_id)

    async def delete(self, server_id: int) -> None:
        host = self._hosts.get(server_id)
        if host is None:
            return
        async with host.lock:
            await host.container.kill()
            await self._fabric.unplug(host.spec)
            for nic in host.spec.private:
                await self._leave(server_id, nic.network_id)
            self._fabric.faults.heal(server_id)
            await self._fabric.set_firewall(server_id, None)
            await asyncio.to_thread(host.disk.destroy)
            self._hosts.pop(server_id, None)

    async def firewall(self, server_id: int, rules: tuple[FirewallRule, ...] | None) -> None:
        await self._fabric.set_firewall(server_id, rules)

    async def balance(self, spec: BalancerSpec) -> None:
        async with self._wiring:
            if spec.balancer_id not in self._balancers:
                self._balancers[spec.balancer_id] = Balancer(self._fabric, self._plant.check_pace)
            await self._balancers[spec.balancer_id].become(spec)

    async def unbalance(self, balancer_id: int) -> None:
        async with self._wiring:
            if balancer_id in self._balancers:
                await self._balancers.pop(balancer_id).stop()

    def is_running(self, server_id: int) -> bool:
        host = self._hosts.get(server_id)
        return host is not None and host.container.is_running

    def target_health(self, balancer_id: int) -> dict[tuple[int, int], bool]:
        balancer = self._balancers.get(balancer_id)
        return dict(balancer.health) if balancer else {}

    def _container(self, spec: MachineSpec, disk: Disk) -> Container:
        group = self.group(spec.server_id)

        async def before_start() -> None:
            await asyncio.to_thread(group.create)
            await self._fabric.plug(self._hosts[spec.server_id].spec)

        chassis = Chassis(
            name=f"server-{spec.server_id}",
            network=named_namespace(host_namespace(spec.server_id)),
            group=group,
            disk=disk,
            console=self._plant.folder / f"{spec.server_id}.console",
        )
        return Container(chassis, before_start)

    async def _join(self, server_id: int, nic: PrivateNic) -> None:
        async with self._wiring:
            await self._fabric.join(server_id, nic)
            for balancer in self._balancers.values():
                await balancer.refresh()

    async def _leave(self, server_id: int, network_id: int) -> None:
        async with self._wiring:
            if await self._fabric.leave(server_id, network_id):
                namespace = self._fabric.networks[network_id].namespace
                for balancer in self._balancers.values():
                    await balancer.leave(namespace)
                await self._fabric.close_network(network_id)
