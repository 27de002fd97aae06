"""One health check of a load balancer's target: who answers on a connection, and what."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Final

from hetzner_k3s.lab.cloud.effects.machines import HttpCheck

_MOST: Final = 64 * 1024
"""Bytes of an answer in which the wanted text is looked for."""


def _any_certificate() -> ssl.SSLContext:
    """Return TLS that believes whoever answers: a balancer knows nothing of the cluster's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_TLS: Final = _any_certificate()


async def passes(connected: socket.socket, check: HttpCheck | None) -> bool:
    """Check what a target answers on a new connection, which is closed then; without `check` the connection is enough.

    Raises:
        OSError: it hangs up, or speaks another protocol.
    """
    if check is None:
        connected.close()
        return True
    reader, writer = await _speak(connected, check.tls)
    try:
        writer.write(_request(check))
        status = _status(await reader.readline())
        if status is None or not check.takes(status):
            return False
        return not check.response or check.response in await _rest(reader)
    finally:
        writer.close()


async def _speak(connected: socket.socket, tls: bool) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        if not tls:
            return await asyncio.open_connection(sock=connected)
        return await asyncio.open_connection(sock=connected, ssl=_TLS, server_hostname="")
    except BaseException:
        connected.close()
        raise


def _request(check: HttpCheck) -> bytes:
    """Write the request; HTTP/1.0 is the one that needs no host header, which is sent where `domain` is set only."""
    host = f"Host: {check.domain}\r\n" if check.domain else ""
    return f"GET {check.path} HTTP/1.0\r\n{host}Connection: close\r\n\r\n".encode()


def _status(line: bytes) -> int | None:
    """Read a status line; None is another protocol's."""
    words = line.split(maxsplit=2)
    is_http = len(words) > 1 and words[0].startswith(b"HTTP/") and words[1].isdigit()
    return int(words[1]) if is_http else None


async def _rest(reader: asyncio.StreamReader) -> str:
    body = bytearray()
    while len(body) < _MOST and (part := await reader.read(_MOST)):
        body += part
    return body.decode(errors="replace")
