"""Ports of an operator's machine that lead, each through an SSH connection, to the API of a simulated host."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count

from hetzner_k3s.lab.simulated.hosts.host import Host


@dataclass(frozen=True, slots=True)
class _Forward:
    host: Host
    cut: asyncio.Future[None]


@dataclass(slots=True)
class Forwards:
    """The forwards of one run: a port leads to its host until the connection is cut, and a new one has another."""

    _open: dict[int, _Forward] = field(default_factory=dict)
    _ports: count[int] = field(default_factory=lambda: count(40_000))

    def to(self, host: Host) -> int:
        """Return the port that leads to a host, over a new connection where there is none."""
        for port, forward in self._open.items():
            if forward.host is host and not forward.cut.done():
                return port
        cut: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        host.ssh.cuts[cut] = None
        port = next(self._ports)
        self._open[port] = _Forward(host, cut)
        return port

    def host(self, port: int | None) -> Host | None:
        """Return where a port leads; None where its connection was cut."""
        forward = self._open.get(port or 0)
        return None if forward is None or forward.cut.done() else forward.host
