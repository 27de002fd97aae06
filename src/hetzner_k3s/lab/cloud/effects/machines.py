"""The seam between the cloud's state machine and what stands behind its servers (real hosts, a simulation, nothing)."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PrivateNic:
    """A private interface as Hetzner gives it (MTU 1450, /32 address, routed through the network's first address)."""

    network_id: int
    network_name: str
    network_range: str
    subnet_range: str
    gateway: str
    ip: str
    mac: str


@dataclass(frozen=True, slots=True)
class MachineSpec:
    """Everything a machine is made from: identity, addresses, image, keys and user data."""

    server_id: int
    name: str
    location: str
    network_zone: str
    image: str
    architecture: str
    public_ipv4: str | None
    public_mac: str
    private: tuple[PrivateNic, ...]
    ssh_keys: tuple[str, ...]
    user_data: str


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """One rule of a firewall, in Hetzner's words (`port` is None, "80", "1-2" or "any")."""

    direction: str
    protocol: str
    port: str | None
    source_ips: tuple[str, ...]
    destination_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BalancerTarget:
    """An address a load balancer sends to."""

    server_id: int
    address: str


@dataclass(frozen=True, slots=True)
class HttpCheck:
    """The options of an HTTP health check, with the vendor's defaults."""

    domain: str | None = None
    path: str = "/"
    response: str = ""
    status_codes: tuple[str, ...] = ("2??", "3??")
    tls: bool = False

    def takes(self, status: int) -> bool:
        """Check whether an answer with a status passes; in the codes `?` is one digit and `*` any."""
        return any(fnmatchcase(str(status), pattern) for pattern in self.status_codes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How a load balancer checks a target (seconds), with the vendor's defaults; `http` for HTTP checks only."""

    port: int
    protocol: str = "tcp"
    interval: int = 15
    timeout: int = 10
    retries: int = 3
    http: HttpCheck | None = None


@dataclass(frozen=True, slots=True)
class BalancerService:
    """A service of a load balancer, balanced as TCP, with its health check."""

    listen_port: int
    destination_port: int
    health_check: HealthCheck


@dataclass(frozen=True, slots=True)
class BalancerSpec:
    """A load balancer as it should run now: addresses it listens on, services, resolved targets."""

    balancer_id: int
    name: str
    addresses: tuple[str, ...]
    services: tuple[BalancerService, ...]
    targets: tuple[BalancerTarget, ...]


class Machines(Protocol):
    """What the cloud does to machines. Each call returns when it is done; an exception fails the action."""

    async def create(self, spec: MachineSpec) -> None:
        """Make disk and interfaces (the private ones too: they are not attached again), powered off."""
        ...

    async def power_on(self, server_id: int) -> None:
        """Start; a machine that runs stays as it is."""
        ...

    async def power_off(self, server_id: int) -> None:
        """Cut the power; the disk stays."""
        ...

    async def shutdown(self, server_id: int) -> None:
        """Send ACPI shutdown and return at once."""
        ...

    async def reboot(self, server_id: int) -> None:
        """Send ACPI reboot and return at once."""
        ...

    async def reset(self, server_id: int) -> None:
        """Cut the power and start again; the disk stays."""
        ...

    async def rebuild(self, spec: MachineSpec) -> None:
        """Replace the disk by a fresh image (same id, same addresses) and start."""
        ...

    async def attach(self, server_id: int, nic: PrivateNic) -> None:
        """Hot-plug a private interface."""
        ...

    async def detach(self, server_id: int, network_id: int) -> None:
        """Unplug a private interface."""
        ...

    async def delete(self, server_id: int) -> None:
        """Destroy machine, disk and interfaces; an absent machine is success."""
        ...

    async def firewall(self, server_id: int, rules: tuple[FirewallRule, ...] | None) -> None:
        """Set the effective inbound and outbound rules of the public interface; None means no firewall."""
        ...

    async def balance(self, spec: BalancerSpec) -> None:
        """Run a load balancer as described, or change it to be so."""
        ...

    async def unbalance(self, balancer_id: int) -> None:
        """Stop a load balancer; an absent one is success."""
        ...

    def is_running(self, server_id: int) -> bool:
        """Check whether the machine runs now (a guest may have powered itself off)."""
        ...

    def target_health(self, balancer_id: int) -> dict[tuple[int, int], bool]:
        """Return the last check of each (server id, listen port) of a load balancer."""
        ...
