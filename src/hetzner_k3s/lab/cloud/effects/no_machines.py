"""Machines that are nothing but a switch: the API without hosts."""

from __future__ import annotations

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec, FirewallRule, MachineSpec, PrivateNic


class NoMachines:
    """Remembers what the cloud asked for; guests obey at once and never fail."""

    def __init__(self) -> None:
        self.specs: dict[int, MachineSpec] = {}
        self.running: set[int] = set()
        self.nics: dict[int, dict[int, PrivateNic]] = {}
        self.rules: dict[int, tuple[FirewallRule, ...] | None] = {}
        self.balancers: dict[int, BalancerSpec] = {}

    async def create(self, spec: MachineSpec) -> None:
        """Remember a machine, powered off."""
        self.specs[spec.server_id] = spec
        self.nics[spec.server_id] = {nic.network_id: nic for nic in spec.private}

    async def power_on(self, server_id: int) -> None:
        """Switch on."""
        self.running.add(server_id)

    async def power_off(self, server_id: int) -> None:
        """Switch off."""
        self.running.discard(server_id)

    async def shutdown(self, server_id: int) -> None:
        """Switch off: the guest obeys."""
        self.running.discard(server_id)

    async def reboot(self, server_id: int) -> None:
        """Stay on."""

    async def reset(self, server_id: int) -> None:
        """Switch on."""
        self.running.add(server_id)

    async def rebuild(self, spec: MachineSpec) -> None:
        """Remember the new specification and switch on."""
        self.specs[spec.server_id] = spec
        self.running.add(spec.server_id)

    async def attach(self, server_id: int, nic: PrivateNic) -> None:
        """Remember an interface."""
        self.nics[server_id][nic.network_id] = nic

    async def detach(self, server_id: int, network_id: int) -> None:
        """Forget an interface."""
        self.nics.get(server_id, {}).pop(network_id, None)

    async def delete(self, server_id: int) -> None:
        """Forget a machine."""
        self.running.discard(server_id)
        for memory in (self.specs, self.nics, self.rules):
            memory.pop(server_id, None)

    async def firewall(self, server_id: int, rules: tuple[FirewallRule, ...] | None) -> None:
        """Remember the rules."""
        self.rules[server_id] = rules

    async def balance(self, spec: BalancerSpec) -> None:
        """Remember a load balancer."""
        self.balancers[spec.balancer_id] = spec

    async def unbalance(self, balancer_id: int) -> None:
        """Forget a load balancer."""
        self.balancers.pop(balancer_id, None)

    def is_running(self, server_id: int) -> bool:
        """Check whether the switch is on."""
        return server_id in self.running

    def target_health(self, balancer_id: int) -> dict[tuple[int, int], bool]:
        """Call every running target healthy."""
        spec = self.balancers.get(balancer_id)
        if spec is None:
            return {}
        pairs = ((target.server_id, service.listen_port) for target in spec.targets for service in spec.services)
        return {(number, port): number in self.running for number, port in pairs}
