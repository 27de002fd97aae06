"""The cloud's machines: hosts of the simulation, driven by the cloud's state machine."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec, FirewallRule, MachineSpec, PrivateNic
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.k3s import balancing
from hetzner_k3s.lab.simulated.k3s.processes import K3sProcesses
from hetzner_k3s.lab.simulated.site import Site


class SimulatedMachines:
    """`lab.cloud.machines.Machines` on simulated hosts; what takes time at the vendor, the cloud itself models."""

    def __init__(self) -> None:
        self.site: Site[Host]
        self.broken = False
        """Whether making a machine fails now, and with it the action `create_server`."""

    async def create(self, spec: MachineSpec) -> None:
        """Make a host, powered off."""
        if self.broken:
            raise RuntimeError("no machine could be made")
        self.site.hosts[spec.server_id] = Host(self.site, spec, K3sProcesses())

    async def power_on(self, server_id: int) -> None:
        """Start it."""
        self.site.hosts[server_id].power_on()

    async def power_off(self, server_id: int) -> None:
        """Cut its power."""
        self.site.hosts[server_id].power_off()

    async def shutdown(self, server_id: int) -> None:
        """Have the guest power itself off; these guests obey at once."""
        self.site.hosts[server_id].power_off()

    async def reboot(self, server_id: int) -> None:
        """Start it anew."""
        await self.reset(server_id)

    async def reset(self, server_id: int) -> None:
        """Cut its power and start it again."""
        self.site.hosts[server_id].power_off()
        self.site.hosts[server_id].power_on()

    async def rebuild(self, spec: MachineSpec) -> None:
        """Replace its disk."""
        self.site.hosts[spec.server_id].rebuild(spec)

    async def attach(self, server_id: int, nic: PrivateNic) -> None:
        """Plug an interface in."""
        self.site.hosts[server_id].attach(nic)

    async def detach(self, server_id: int, network_id: int) -> None:
        """Unplug an interface."""
        if server_id in self.site.hosts:
            self.site.hosts[server_id].detach(network_id)

    async def delete(self, server_id: int) -> None:
        """Destroy it."""
        host = self.site.hosts.get(server_id)
        if host is not None:
            host.power_off()
            del self.site.hosts[server_id]
            self.site.network_changed()

    async def firewall(self, server_id: int, rules: tuple[FirewallRule, ...] | None) -> None:
        """Put rules on the public interface."""
        if server_id in self.site.hosts:
            self.site.hosts[server_id].rules = rules
            self.site.network_changed()

    async def balance(self, spec: BalancerSpec) -> None:
        """Run a load balancer."""
        self.site.balancers[spec.balancer_id] = spec

    async def unbalance(self, balancer_id: int) -> None:
        """Stop a load balancer."""
        self.site.balancers.pop(balancer_id, None)

    def is_running(self, server_id: int) -> bool:
        """Check whether it runs."""
        host = self.site.hosts.get(server_id)
        return host is not None and host.powered

    def target_health(self, balancer_id: int) -> dict[tuple[int, int], bool]:
        """Ask each target what its service's health check asks; no time passes between two checks here."""
        spec = self.site.balancers.get(balancer_id)
        return balancing.health(self.site, spec) if spec else {}
