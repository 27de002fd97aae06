"""A simulated host: boots, answers SSH, runs k3s as units, and loses all but its disk with the power."""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from hetzner_k3s.lab.cloud.effects.machines import FirewallRule, MachineSpec, PrivateNic
from hetzner_k3s.lab.k3s.logfmt import Fatal, ShutdownRequested
from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.simulated.hosts import config_file, packet_filter
from hetzner_k3s.lab.simulated.hosts.disk import Disk
from hetzner_k3s.lab.simulated.hosts.refusal import OperationRefused
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.hosts.ssh import Ssh
from hetzner_k3s.lab.simulated.hosts.unit import Process, Unit
from hetzner_k3s.lab.simulated.site import Site
from hetzner_k3s.model.consents import Restore
from hetzner_k3s.model.hosts.contact import host_key_label
from hetzner_k3s.model.operations.operation import K3sRole

T = TypeVar("T")

_FIRST_BOOT = (5.0, 11.0)
_BOOT = (3.0, 7.0)
_CLOUD_INIT = (1.0, 4.0)
_DOWNLOAD = (2.0, 7.0)
_JOURNAL_LINES = 400
_SSH_PORT = 22

_EXPECTED = (Fatal, ShutdownRequested, OperationRefused)
"""How processes and operations on a host may end; everything else is a bug of the simulation."""

GUARD = "hetzner-k3s start guard: no etcd data and no server: in config.yaml; starting would make a new, empty cluster."
GUARD_DATABASE = (
    "hetzner-k3s start guard: an external datastore and no token that pins its CA; "
    "that would make a new, empty cluster."
)
_AGAIN = f'run "hetzner-k3s create {Restore("...")}" again'
HALF_RESTORED = f"hetzner-k3s start guard: half a restore lies here; {_AGAIN}."
HELD = "hetzner-k3s start guard: k3s is stopped and masked here by a quorum reset that has not ended."


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line of a unit's journal."""

    at: float
    role: K3sRole
    text: str


class Processes(Protocol):
    """What makes the processes that a host's units run."""

    def server(self, host: Host, flags: Flags) -> Server:
        """Make one run of `k3s server`."""
        ...

    def agent(self, host: Host, flags: Flags) -> Process:
        """Make one run of `k3s agent`."""
        ...


class Host:
    """The machine of a server.

    Args:
        site: where it stands.
        spec: what it is made from.
        processes: makes what its units run.
    """

    def __init__(self, site: Site[Host], spec: MachineSpec, processes: Processes) -> None:
        self.site, self.spec, self._processes = site, spec, processes
        self.server_id, self.name = spec.server_id, spec.name
        self.nics = {nic.network_id: nic for nic in spec.private}
        self.chance = site.chance.fork(f"host-{spec.server_id}")
        self.disk = self._fresh_disk()
        self.powered = self.frozen = self.ssh_up = self.permit = False
        self.prepared_at: float | None = None
        """When its first boot had ended and k3s was downloaded: nobody could have begun k3s on it before."""
        self.ssh = Ssh()
        self.ssh_port = _ssh_port(spec.user_data)
        self.rules: tuple[FirewallRule, ...] | None = None
        """Those of the firewalls on its public interface; None without one."""
        self.units: dict[K3sRole, Unit] = {}
        self._server: Server | None = None
        self.journal: deque[JournalLine] = deque(maxlen=_JOURNAL_LINES)
        self.operation: asyncio.Task[Any] | None = None
        self._tasks: dict[asyncio.Task[Any], None] = {}  # a set's order would not repeat
        self._changed = asyncio.Event()

    # --- what it is

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return its private addresses, then its public one."""
        public = (self.spec.public_ipv4,) if self.spec.public_ipv4 else ()
        return (*(nic.ip for nic in self.nics.values()), *public)

    @property
    def awake(self) -> bool:
        """Check whether it runs and is not frozen."""
        return self.powered and not self.frozen

    @property
    def server(self) -> Server | None:
        """Return the k3s server that runs on it."""
        unit = self.units.get(K3sRole.SERVER)
        return self._server if unit and unit.process is not None else None

    @property
    def interfaces(self) -> dict[str, str]:
        """Give address -> network interface."""
        private = {nic.ip: f"enp{7 + at}s0" for at, nic in enumerate(self.nics.values())}
        return {**({self.spec.public_ipv4: "eth0"} if self.spec.public_ipv4 else {}), **private}

    def _fresh_disk(self) -> Disk:
        disk = Disk(machine_id=self.chance.token_hex(16), host_key="made by the image")
        disk.host_key = _boot_key(self.spec.user_data) or disk.host_key
        return disk

    def lets_in(self, address: str, port: int, source: str | None) -> bool:
        """Check whether a TCP connection to one of its addresses gets through its firewalls; none is without a source.

        See docs/facts/hetzner-api.md#firewalls.
        """
        if self.rules is None or address != self.spec.public_ipv4:
            return True
        return source is not None and packet_filter.lets_in(self.rules, port, source)

    # --- power

    def power_on(self) -> None:
        """Start, unless it runs."""
        if not self.powered:
            self.powered = True
            self.spawn(self._boot())

    def power_off(self) -> None:
        """Cut the power: processes and connections end, the disk stays."""
        self.powered = self.ssh_up = self.permit = self.frozen = False
        for unit in self.units.values():
            unit.stop()
        for task in list(self._tasks):
            task.cancel()
        self.operation = None
        self.disk.note_operation(running=False)
        self.ssh.cut()
        self.site.network_changed()
        self.tell_changed()

    def rebuild(self, spec: MachineSpec) -> None:
        """Take a fresh disk of the same image and user data, and start."""
        self.power_off()
        self.spec = spec
        self.disk = self._fresh_disk()
        self.units.clear()
        self.power_on()

    def set_frozen(self, frozen: bool) -> None:
        """Pause it, or let it go on."""
        self.frozen = frozen
        self.site.network_changed()
        self.tell_changed()

    async def _boot(self) -> None:
        first = not self.disk.initialized
        await self.takes(_FIRST_BOOT if first else _BOOT)
        self.ssh_up = True
        self.tell_changed()
        for role, enabled in self.disk.units.items():
            self.install_unit(role)
            if enabled:
                self.units[role].start()
        if first:
            self.spawn(self._download())
            await self.takes(_CLOUD_INIT)
            self.disk.initialized = True
            self.disk.commands_wait = "/after-k3s" in self.spec.user_data
            self.disk.failed_commands += filter(None, [self.site.failing_commands.pop(self.name, None)])
            self.prepared_at = self.site.now()
            self.tell_changed()

    async def _download(self) -> None:
        await self.takes(_DOWNLOAD)
        self.disk.k3s_version = self.disk.k3s_version or _version(self.spec.user_data)
        self.prepared_at = self.site.now()
        self.tell_changed()

    async def takes(self, bounds: tuple[float, float]) -> None:
        """Let pass what something takes on this host, in seconds."""
        await asyncio.sleep(self.chance.uniform(*bounds) * self.ssh.slow)

    # --- processes

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that ends with the power."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._task_ended)
        return task

    def _task_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)
        problem = None if task.cancelled() else task.exception()
        if problem is not None and not isinstance(problem, _EXPECTED):
            self.site.bugs.append(problem)

    def install_unit(self, role: K3sRole) -> None:
        """Put a unit in place."""
        if role not in self.units:
            make = self._start_server if role is K3sRole.SERVER else self._start_agent
            self.units[role] = Unit(self, role, make)

    def _start_server(self) -> Process:
        if not self.disk.unit_arguments:
            self._guard()
        if self.name in self.site.crash_on_start:
            raise Fatal(self.site.crash_on_start[self.name])
        flags = config_file.flags(
            "server",
            self.disk.config,
            permit=self.permit,
            agentless=self.disk.agentless,
            environment=self.disk.server_environment,
            arguments=self.disk.unit_arguments,
        )
        self._server = self._processes.server(self, flags)
        return self._server

    def _guard(self) -> None:
        """Do as `start_guard.sh`: no birth without a permit, nothing on a held host."""
        if self.disk.held:
            raise Fatal(HELD)
        if self.disk.restoring:
            raise Fatal(HALF_RESTORED)
        if self.disk.tombstone or self.disk.drive.data is None:
            self.disk.lineage = self.disk.reset_done = None
        document = config_file.read(self.disk.config or "")
        if str(document.get("server") or "").startswith("https://"):
            return
        if document.get("datastore-endpoint"):
            pinned = str(document.get("token") or "").startswith("K10")
            if self.permit or self.disk.server_ca is not None or pinned:
                return
            raise Fatal(GUARD_DATABASE)
        if not self.disk.tombstone and (self.disk.drive.data is not None or self.permit):
            return
        raise Fatal(GUARD)

    def _start_agent(self) -> Process:
        flags = config_file.flags(
            "agent",
            self.disk.config,
            environment=self.disk.agent_environment,
            arguments=self.disk.unit_arguments,
        )
        return self._processes.agent(self, flags)

    def log(self, role: K3sRole, text: str) -> None:
        """Append to a unit's journal."""
        self.journal.append(JournalLine(self.site.now(), role, text))
        self.tell_changed()

    # --- waiting for it

    def tell_changed(self) -> None:
        """Wake those who wait for something on this host."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self, seconds: float) -> None:
        """Wait until something on this host changed, at most so long."""
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    # --- network

    def attach(self, nic: PrivateNic) -> None:
        """Plug a private interface in."""
        self.nics[nic.network_id] = nic
        self.spec = replace(self.spec, private=tuple(self.nics.values()))
        self.site.network_changed()

    def detach(self, network_id: int) -> None:
        """Unplug a private interface."""
        self.nics.pop(network_id, None)
        self.spec = replace(self.spec, private=tuple(self.nics.values()))
        self.site.network_changed()


def _document(user_data: str) -> dict[str, Any]:
    head, _, body = user_data.partition("\n")
    return json.loads(body) if head == "#cloud-config" and body else {}


def _boot_key(user_data: str) -> str | None:
    public = _document(user_data).get("ssh_keys", {}).get("ed25519_public")
    return host_key_label(base64.b64decode(public.split()[1])) if public else None


def _ssh_port(user_data: str) -> int:
    """Return the port that cloud-init writes into sshd's configuration."""
    texts = (str(file.get("content", "")) for file in _document(user_data).get("write_files", ()))
    ports = (text.split()[1] for text in texts if text.startswith("Port "))
    return int(next(ports, _SSH_PORT))


def _version(user_data: str) -> str | None:
    """Return the release that the boot command downloads: its last word."""
    commands = _document(user_data).get("bootcmd", ())
    return next((str(command[-1]) for command in commands if "hetzner-k3s-download" in command), None)
