"""A command of the user's over an open SSH connection: both of its streams as they come, and its exit status."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import asyncssh

from hetzner_k3s.hosts.framing import Frame
from hetzner_k3s.hosts.operations import Invocation
from hetzner_k3s.model.errors import Fate, OperationFailed
from hetzner_k3s.model.operations.commands import RunCommand, Stream
from hetzner_k3s.ports import Heard

PIECE: Final = 1 << 18
"""Bytes of a stream that are taken at a time."""
_STATUS_SECONDS: Final = 2.0
"""How long the exit status may come after the last word: whatever a command left running keeps its streams open."""


class TooMuch(Exception):
    """A host sent more than the operation may print."""


class Unframed(Exception):
    """What was sent does not stand between the marks that were asked for."""


async def run_command(client: asyncssh.SSHClientConnection, command: RunCommand, sent: Invocation, heard: Heard) -> int:
    """Run a command, hand on what it prints, and return its exit status.

    Raises:
        TooMuch: it prints more than a command may.
        Unframed: the host did not carry it out to its end.
        asyncssh.ConnectionLost: the connection ended before it did.
    """
    process = await client.create_process(sent.command, encoding=None)
    try:
        process.stdin.write(command.script.encode())  # and left open: the command ends when the session does
        streams = ((process.stdout, Stream.OUT), (process.stderr, Stream.ERR))
        await asyncio.gather(*(_hand_on(reader, stream, sent, heard) for reader, stream in streams))
        return await _status(process)
    finally:
        process.close()


def overdue(command: RunCommand, server: str) -> OperationFailed:
    """Return the error of a command that took longer than it may."""
    return OperationFailed(
        f"{server}: the command did not end within {command.deadline:.0f} s, and was ended; --timeout "
        "SECONDS gives it longer",
        server=server,
        operation="RunCommand",
        fate=Fate.MAY_HAVE_HAPPENED,
    )


async def _hand_on(reader: asyncssh.SSHReader[bytes], stream: Stream, sent: Invocation, heard: Heard) -> None:
    frame = Frame(sent.mark, live=True)
    async for piece in pieces_of(reader, sent.most):
        if content := frame.feed(piece):
            heard(stream, content)
        if frame.closed:
            return
    raise Unframed


async def _status(process: asyncssh.SSHClientProcess[bytes]) -> int:
    try:
        async with asyncio.timeout(_STATUS_SECONDS):
            await process.wait_closed()
    except TimeoutError:
        pass  # something that it started still holds its streams
    if process.exit_status is None or process.exit_status < 0:
        raise asyncssh.ConnectionLost("the session ended without an exit status")
    return process.exit_status


async def pieces_of(stream: asyncssh.SSHReader[bytes], most: int) -> AsyncIterator[bytes]:
    """Return what comes in pieces, up to `most` bytes.

    Raises:
        TooMuch: more came.
    """
    arrived = 0
    while piece := await stream.read(PIECE):
        arrived += len(piece)
        if arrived > most:
            raise TooMuch
        yield piece
