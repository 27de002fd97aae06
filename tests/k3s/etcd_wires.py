"""Proxies between etcd members, so that one can be cut off without any privilege.

The peer addresses that members advertise (192.0.2.0/24, reserved for documentation) exist nowhere, and etcd sends what
is not loopback to the proxy of its environment: each member has one of its own here, which knows who speaks to whom.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .etcd_operations import SLOTS

_DROPPED = ("connection:", "proxy-connection:")
"""What a proxy answers for by itself: each connection here carries one request."""


@dataclass
class Wires:
    """The proxies; `ports` maps slots to the ports where their members listen, `cut` are those that reach nobody."""

    ports: dict[int, int]
    cut: set[int] = field(default_factory=set)
    proxies: dict[int, int] = field(default_factory=dict)
    _open: dict[asyncio.StreamWriter, set[int]] = field(default_factory=dict)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def lay(self) -> None:
        """Start a proxy for every slot."""
        for slot in SLOTS:
            server = await asyncio.start_server(self._from(slot), "127.0.0.1", 0)
            self._servers.append(server)
            self.proxies[slot] = server.sockets[0].getsockname()[1]

    def take_down(self) -> None:
        """Stop all proxies and break what goes through them."""
        for server in self._servers:
            server.close()
        for writer in list(self._open):
            writer.transport.abort()

    def silence(self) -> None:
        """Break the connections of those that are cut off."""
        for writer, ends in list(self._open.items()):
            if ends & self.cut:
                writer.transport.abort()

    def _from(self, source: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._carry(source, reader, writer)
            self._open.pop(writer, None)
            writer.close()

        return serve

    async def _carry(self, source: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request, *lines = head.strip().split("\r\n")
        target = int((urlsplit(request.split()[1]).hostname or "").rpartition(".")[2])
        if {source, target} & self.cut:
            return
        theirs, them = await asyncio.open_connection("127.0.0.1", self.ports[target])
        self._open[writer] = self._open[them] = {source, target}
        kept = [line for line in lines if not line.lower().startswith(_DROPPED)]
        them.write("\r\n".join([request, *kept, "Connection: close", "", ""]).encode("latin-1"))
        try:
            await asyncio.gather(_pipe(reader, them), _pipe(theirs, writer))
        finally:
            self._open.pop(them, None)
            them.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
