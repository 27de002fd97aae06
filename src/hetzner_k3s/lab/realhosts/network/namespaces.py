"""Linux namespaces: leaving the machine's own, and making network namespaces that hosts and networks live in."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from hetzner_k3s.lab.realhosts.command import run

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
CLONE_NEWPID = 0x20000000

_NAMED = Path("/run/netns")

T = TypeVar("T")


def unshare(flags: int) -> None:
    """Leave the caller's namespaces of the given kinds (os.unshare exists from Python 3.12 on)."""
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        _raise_errno("unshare")


def named_namespace(name: str) -> Path:
    """Return the file that pins a named network namespace."""
    return _NAMED / name


class NetworkNamespace:
    """A network namespace pinned under a name in /run/netns (which is the lab's own: see isolation.py)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = named_namespace(name)
        # A thread belongs to one network namespace; what it makes (sockets) belongs there for good.
        self._inside = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name, initializer=self._enter)

    async def add(self) -> None:
        """Make the namespace, with its loopback interface up."""
        await run("ip", "netns", "add", self.name)
        await self.configure(["link set lo up"])

    async def remove(self) -> None:
        """Remove the namespace; an absent one is success."""
        self._inside.shutdown(wait=False)
        if self.path.exists():
            await run("ip", "netns", "del", self.name)

    async def configure(self, lines: list[str]) -> None:
        """Run lines of `ip -batch` inside."""
        await run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(lines))

    async def call(self, function: Callable[[], T]) -> T:
        """Call a function in a thread that lives inside."""
        return await asyncio.get_running_loop().run_in_executor(self._inside, function)

    async def socket(self) -> socket.socket:
        """Make a TCP socket that belongs to this namespace, wherever it is used."""
        made = await self.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        made.setblocking(False)
        return made

    def _enter(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET):
                _raise_errno("setns")
        finally:
            os.close(descriptor)


def forward_packets() -> None:
    """Make the calling thread's network namespace a router."""
    ipv4 = Path("/proc/sys/net/ipv4")
    (ipv4 / "ip_forward").write_text("1")
    for scope in ("all", "default"):
        (ipv4 / "conf" / scope / "rp_filter").write_text("0")


def _raise_errno(call: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{call}: {os.strerror(number)}")
