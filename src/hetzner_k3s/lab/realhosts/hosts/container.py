"""The running machine: systemd-nspawn with a real systemd inside, watched so that `reboot` starts it again.

Each argument below was paid for: docs/facts/lab.md#containers and docs/facts/lab.md#kubelets.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hetzner_k3s.lab.realhosts.hosts.cgroups import ControlGroup
from hetzner_k3s.lab.realhosts.hosts.disk import Disk
from hetzner_k3s.lab.realhosts.hosts.processes import first_process

_REBOOT_EXIT = 133  # what nspawn with --keep-unit ends with when the system inside rebooted
_SHUTDOWN = signal.SIGRTMIN + 4  # systemd: start poweroff.target
_REBOOT = signal.SIGRTMIN + 5  # systemd: start reboot.target


@dataclass(frozen=True, slots=True)
class Chassis:
    """What a container is started with: its name, network namespace, control group, disk and console file."""

    name: str
    network: Path
    group: ControlGroup
    disk: Disk
    console: Path

    def command(self) -> list[str]:
        """Return the command line that starts it."""
        # nsenter, not --network-namespace-path: with the latter the host sees the machine's devices in /sys/class/net.
        nspawn = ["nsenter", f"--net={self.network}", "systemd-nspawn", "--quiet", "--register=no", "--keep-unit"]
        nspawn += [f"--directory={self.disk.root}", "--boot", f"--machine={self.name}", "--console=pipe"]
        nspawn += ["--resolv-conf=off", "--timezone=off", "--link-journal=no", "--capability=all"]
        nspawn += [f"--bind={device}" for device in ("/dev/fuse", "/dev/net/tun") if Path(device).exists()]
        nspawn += [f"--bind={source}:{place}" for source, place in self.disk.binds]
        return self.group.entering(nspawn)


class Container:
    """One machine that can be on or off. `before_start` prepares each boot (fresh interfaces, empty groups)."""

    def __init__(self, chassis: Chassis, before_start: Callable[[], Awaitable[None]]) -> None:
        self._chassis = chassis
        self._before_start = before_start
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._wanted = False

    @property
    def is_running(self) -> bool:
        """Check whether the machine is on; one that reboots is on."""
        return self._watcher is not None and not self._watcher.done()

    async def start(self) -> None:
        """Switch on; a running machine stays as it is."""
        if not self.is_running:
            self._wanted = True
            await self._boot()
            self._watcher = asyncio.create_task(self._watch())

    async def kill(self) -> None:
        """Cut the power, and wait until nothing of the machine runs."""
        self._wanted = False
        if self._watcher is None:
            return
        self._chassis.group.thaw()  # a frozen nspawn would never notice that its host is dead
        while self.is_running:
            self._signal(signal.SIGKILL)
            await asyncio.wait([self._watcher], timeout=0.2)  # a boot in progress shows its first process late
        self._watcher = None

    def shutdown(self) -> None:
        """Ask the system to power off."""
        self._signal(_SHUTDOWN)

    def reboot(self) -> None:
        """Ask the system to reboot."""
        self._signal(_REBOOT)

    async def _boot(self) -> None:
        await self._before_start()
        # No seccomp filter: it forbids what runc and crun need.
        environment = {"PATH": os.defpath + ":/usr/sbin:/sbin", "LANG": "C.UTF-8", "SYSTEMD_SECCOMP": "0"}
        environment["SYSTEMD_NSPAWN_API_VFS_WRITABLE"] = "network"
        with self._chassis.console.open("ab") as console:
            self._process = await asyncio.create_subprocess_exec(
                *self._chassis.command(),
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=environment,
            )

    async def _watch(self) -> None:
        while self._process is not None:
            code = await self._process.wait()
            self._process = None
            await asyncio.to_thread(self._end_leftovers)
            if code == _REBOOT_EXIT and self._wanted:
                await self._boot()

    def _end_leftovers(self) -> None:
        self._chassis.group.kill()
        self._chassis.group.remove()

    def _signal(self, number: int) -> None:
        """Signal the first process inside; before there is one, only SIGKILL means anything, to nspawn itself."""
        target = self._first_process()
        if target is None and number == signal.SIGKILL and self._process is not None:
            target = self._process.pid
        if target is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(target, number)

    def _first_process(self) -> int | None:
        return first_process(self._chassis.group.processes())
