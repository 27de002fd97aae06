"""`ports.Hosts` over asyncssh: verified connections that are kept open, and host operations on them.

A host is known by its ed25519 key alone, whose hash the server's labels carry; nothing is sent before it was checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

import asyncssh

from hetzner_k3s.adapters.ssh_commands import PIECE, TooMuch, Unframed, overdue, pieces_of, run_command
from hetzner_k3s.adapters.ssh_dial import HANDSHAKE_SECONDS, LOST, Dialer, unreachable, words
from hetzner_k3s.adapters.ssh_login import login_options
from hetzner_k3s.hosts import operations
from hetzner_k3s.hosts.framing import Frame
from hetzner_k3s.hosts.operations import Invocation
from hetzner_k3s.model.errors import Fate, HostBusy, HostUnreachable, SshStage
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.contact import HostTarget, host_key_label
from hetzner_k3s.model.hosts.origin import Introduction
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.configuration import RotateHostKey
from hetzner_k3s.model.operations.looks import Probe
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.operations.snapshots import ReceiveSnapshot
from hetzner_k3s.ports import Clock, Heard, Rng

R = TypeVar("R")

_LOGIN_SECONDS: Final = 15.0
_KEEPALIVE_SECONDS: Final = 5.0
_KEEPALIVES_LOST: Final = 3
_SESSIONS_PER_HOST: Final = 8
"""OpenSSH's MaxSessions is 10 a connection."""
_BUSY_SECONDS: Final = 60.0
"""How long another operation on a host is waited for: what a killed run began may still be at it."""
_SETTLE_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.2
_COMPLAINT: Final = 1 << 16
"""Bytes of what a stream writes to stderr that are kept; the rest is read and forgotten."""
_ID_BYTES: Final = 8


@dataclass(slots=True)
class _Connection:
    """An open connection: the label and kind of the host key that answered, and the forwards made through it."""

    client: asyncssh.SSHClientConnection
    label: str
    sessions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_SESSIONS_PER_HOST))
    forwards: dict[int, asyncssh.SSHListener] = field(default_factory=dict)

    @property
    def alive(self) -> bool:
        return not self.client.is_closed()


class _KeyCheck(asyncssh.SSHClient):
    """Accepts the host keys that a target names, or that of anybody, and remembers which one answered."""

    def __init__(self, target: HostTarget, *, anybody: bool = False) -> None:
        self._target, self.anybody = target, anybody
        self.label = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002
        self.label = host_key_label(key.public_data)
        return self.anybody or self.label in self._target.keys


class SshHosts:
    """`ports.Hosts`: one connection a host, shared by all operations on it.

    Args:
        clock, rng: time between polls, ids of mutating operations.
        private_key_path: OpenSSH private key of root's login; None to use the agent at SSH_AUTH_SOCK.
        public_key: its public half, one line: the one key of the agent that is offered (sshd ends a login after six).
    """

    def __init__(self, *, clock: Clock, rng: Rng, private_key_path: str | None, public_key: str) -> None:
        self._clock = clock
        self._rng = rng
        self._private_key_path = private_key_path
        self._public_key = public_key
        self._login: dict[str, Any] | None = None
        self._connections: dict[tuple[int, str, int], _Connection] = {}
        self._connecting: dict[tuple[int, str, int], asyncio.Lock] = {}
        self._dialer = Dialer()

    async def perform(self, target: HostTarget, operation: Operation[R]) -> R:
        """Run one host operation and give its typed result; see `ports.Hosts.perform` for what it raises."""
        if operation.unverified and not target.keys:
            return await self._ask_unverified(target, operation)
        connection = await self._connect(target, boot_key_suffices=operation.boot_key_suffices)
        try:
            return await self._retry_while_busy(lambda: self._run_operation(connection, target, operation))
        finally:
            if isinstance(operation, RotateHostKey):
                self._drop(target)  # the next connection must verify the new key

    async def _ask_unverified(self, target: HostTarget, operation: Operation[R]) -> R:
        """Ask a host that nobody vouches for, over a connection of its own that nothing else ever uses."""
        check = _KeyCheck(target, anybody=True)
        connection = await self._open(target, check)
        try:
            answered = replace(target, keys={connection.label: HostKeyKind.BOOT})
            return await self._run_operation(connection, answered, operation)
        finally:
            connection.client.close()

    async def introduce(self, target: HostTarget) -> Introduction:
        """Look at a host that nobody vouches for; see `ports.Hosts.introduce`."""
        check = _KeyCheck(target, anybody=not target.keys)
        connection = await self._open(target, check)
        try:
            answered = replace(target, keys={connection.label: HostKeyKind.BOOT})
            facts = await self._run_operation(connection, answered, Probe())
        finally:
            connection.client.close()
        return Introduction(key=connection.label, facts=facts)

    async def stream(self, target: HostTarget, operation: Operation[Done]) -> AsyncIterator[bytes]:
        """Run a reading operation and give its stdout in pieces; see `ports.Hosts.stream` for what it raises."""
        connection = await self._connect(target, boot_key_suffices=operation.boot_key_suffices)
        sent = operations.invocation(operation, self._rng.token_hex(_ID_BYTES))
        frame = Frame(sent.mark)
        try:
            async with connection.sessions, asyncio.timeout(sent.limit):
                process = await connection.client.create_process(sent.command, stdin=asyncssh.DEVNULL, encoding=None)
                complaint = asyncio.create_task(_complaint(process.stderr))
                try:
                    async for piece in pieces_of(process.stdout, sent.most):
                        if content := frame.feed(piece):
                            yield content
                    ended, said = await process.wait(), await _ended(complaint)
                finally:
                    process.close()
                    complaint.cancel()  # a host that was cut short need not end its part
        except TooMuch:
            raise operations.too_much(operation, target.name) from None
        except LOST as lost:
            self._drop(target)
            raise unreachable(target, SshStage.SESSION, f"connection lost: {words(lost)}") from lost
        if ended.exit_status != 0:
            raise operations.stream_failure(operation, said, sent.mark, target.name)
        if not frame.closed:
            raise operations.cut_short(operation, target.name)

    async def send(self, target: HostTarget, operation: ReceiveSnapshot, pieces: AsyncIterator[bytes]) -> None:
        """Run an operation whose stdin is a file; see `ports.Hosts.send`."""
        connection = await self._connect(target, boot_key_suffices=operation.boot_key_suffices)
        sent = operations.invocation(operation, self._rng.token_hex(_ID_BYTES))
        try:
            async with connection.sessions, asyncio.timeout(sent.limit):
                process = await connection.client.create_process(sent.command, stderr=asyncssh.DEVNULL, encoding=None)
                try:
                    printed = await _feed(process, pieces, sent.most)
                finally:
                    process.close()
        except TooMuch:
            raise operations.too_much(operation, target.name) from None
        except LOST as lost:
            self._drop(target)
            raise unreachable(target, SshStage.SESSION, f"connection lost: {words(lost)}") from lost
        operations.read_answer(operation, printed, sent.mark, target.keys[connection.label], target.name)

    async def run(self, target: HostTarget, command: RunCommand, heard: Heard) -> int:
        """Run a command of the user's; see `ports.Hosts.run`."""
        connection = await self._connect(target, boot_key_suffices=False)
        sent = operations.invocation(command, self._rng.token_hex(_ID_BYTES))
        try:
            async with connection.sessions, asyncio.timeout(sent.limit) as deadline:
                return await run_command(connection.client, command, sent, heard)
        except TooMuch:
            raise operations.too_much(command, target.name) from None
        except Unframed:
            raise operations.cut_short(command, target.name) from None
        except LOST as lost:
            if isinstance(lost, TimeoutError) and deadline.expired():
                raise overdue(command, target.name) from None
            self._drop(target)
            what = f"connection lost: {words(lost)}"
            raise unreachable(target, SshStage.SESSION, what, fate=Fate.MAY_HAVE_HAPPENED) from lost

    async def host_key(self, target: HostTarget) -> str:
        """Return the public key by which a host proved itself."""
        connection = await self._connect(target, boot_key_suffices=False)
        key = connection.client.get_server_host_key()
        if key is None:
            raise unreachable(target, SshStage.HOST_KEY, "it showed no host key")
        return key.export_public_key("openssh").decode().strip()

    async def forward(self, target: HostTarget, port: int) -> int:
        """Return a port of 127.0.0.1 here that leads to `port` of 127.0.0.1 there, as long as the connection lives.

        Raises:
            HostUnreachable: there is no verified connection, or only one by the boot key.
        """
        connection = await self._connect(target, boot_key_suffices=False)
        if port not in connection.forwards:
            try:
                listener = await connection.client.forward_local_port("127.0.0.1", 0, "127.0.0.1", port)
            except LOST as lost:
                raise unreachable(target, SshStage.SESSION, f"no forward to port {port}: {words(lost)}") from lost
            connection.forwards[port] = listener
        return connection.forwards[port].get_port()

    async def close(self) -> None:
        """Drop all connections."""
        connections = [c for c in self._connections.values() if c.alive]
        self._connections.clear()
        for connection in connections:
            connection.client.close()
        await asyncio.gather(*(c.client.wait_closed() for c in connections), return_exceptions=True)

    async def _retry_while_busy(self, attempt: Callable[[], Awaitable[R]]) -> R:
        ends = self._clock.monotonic() + _BUSY_SECONDS
        while True:
            try:
                return await attempt()
            except HostBusy:
                if self._clock.monotonic() >= ends:
                    raise
            await self._clock.sleep(_POLL_SECONDS)

    async def _run_operation(self, connection: _Connection, target: HostTarget, operation: Operation[R]) -> R:
        operation_id = self._rng.token_hex(_ID_BYTES)
        try:
            printed = await _run(connection, operations.invocation(operation, operation_id))
        except TooMuch:
            raise operations.too_much(operation, target.name) from None
        except LOST as lost:
            self._drop(target)
            if not operation.mutating:
                raise unreachable(target, SshStage.SESSION, f"connection lost: {words(lost)}") from lost
            printed = await self._settle(target, operation, operation_id)
        return operations.read_answer(operation, printed, operation_id, target.keys[connection.label], target.name)

    async def _settle(self, target: HostTarget, operation: Operation[Any], operation_id: str) -> bytes:
        """Ask the host, over a new connection, how an operation ended that outlived the old one."""
        try:
            connection = await self._connect(target, boot_key_suffices=operation.boot_key_suffices)
            return await _run(connection, operations.settlement(operation_id, _SETTLE_SECONDS))
        except (HostUnreachable, TooMuch, *LOST) as failure:
            what = f"connection lost during {operations.name(operation)}, and its outcome could not be asked: "
            raise unreachable(target, SshStage.SESSION, what + words(failure), fate=Fate.MAY_HAVE_HAPPENED) from failure

    async def _connect(self, target: HostTarget, *, boot_key_suffices: bool) -> _Connection:
        place = (target.server_id, target.address, target.port)
        async with self._connecting.setdefault(place, asyncio.Lock()):
            connection = self._connections.get(place)
            if connection is None or not connection.alive or connection.label not in target.keys:
                self._drop(target)
                connection = await self._open(target, _KeyCheck(target))
                self._connections[place] = connection
        if target.keys[connection.label] is HostKeyKind.BOOT and not boot_key_suffices:
            self._drop(target)
            raise unreachable(target, SshStage.HOST_KEY, "it answers with its boot host key, which is no secret")
        return connection

    async def _open(self, target: HostTarget, check: _KeyCheck) -> _Connection:
        if not target.keys and not check.anybody:
            raise unreachable(
                target, SshStage.HOST_KEY, "its labels name no host key, so it cannot be told from another"
            )
        options = await self._options()
        client = await self._dialer.dial(target, **options, client_factory=lambda: check)
        return _Connection(client, check.label)

    async def _options(self) -> dict[str, Any]:
        if self._login is None:
            self._login = await login_options(self._private_key_path, self._public_key)
        return {
            **self._login,
            "username": "root",
            "config": None,
            "known_hosts": ([], [], []),
            "server_host_key_algs": ["ssh-ed25519"],
            "preferred_auth": "publickey",
            "gss_host": None,
            "connect_timeout": HANDSHAKE_SECONDS,
            "login_timeout": _LOGIN_SECONDS,
            "keepalive_interval": _KEEPALIVE_SECONDS,
            "keepalive_count_max": _KEEPALIVES_LOST,
        }

    def _drop(self, target: HostTarget) -> None:
        connection = self._connections.pop((target.server_id, target.address, target.port), None)
        if connection is not None:
            connection.client.close()


async def _run(connection: _Connection, invocation: Invocation) -> bytes:
    """Run a command and return its stdout; a connection that breaks on the way is an error, whatever was printed."""
    text = invocation.stdin.reveal()
    if invocation.tied:
        stdin: dict[str, Any] = {}
    else:  # an empty input alone would leave the session's stdin open for ever
        stdin = {"input": text.encode()} if text else {"stdin": asyncssh.DEVNULL}
    async with connection.sessions, asyncio.timeout(invocation.limit):
        process = await connection.client.create_process(
            invocation.command, stderr=asyncssh.DEVNULL, encoding=None, **stdin
        )
        try:
            printed = await _read(process.stdout, invocation.most)
            ended = await process.wait()
        finally:
            process.close()  # also when nobody waits any more: it ends a tied one on the host
    if ended.exit_status is None or ended.exit_status < 0:
        raise asyncssh.ConnectionLost("the session ended without an exit status")
    return printed


async def _feed(process: asyncssh.SSHClientProcess[bytes], pieces: AsyncIterator[bytes], most: int) -> bytes:
    """Feed a process its stdin piece by piece; return what it printed, also where it ends early."""
    printed = asyncio.create_task(_read(process.stdout, most))
    try:
        async for piece in pieces:
            if printed.done():
                break
            process.stdin.write(piece)
            await process.stdin.drain()
        process.stdin.write_eof()
    except BrokenPipeError:
        pass
    finally:
        printed.add_done_callback(_heard)
    result = await printed
    await process.wait()
    return result


def _heard(task: asyncio.Task[bytes]) -> None:
    """Take note of a task's error: where it is not awaited any more, another one is on its way."""
    if not task.cancelled():
        task.exception()


async def _read(stream: asyncssh.SSHReader[bytes], most: int) -> bytes:
    return b"".join([piece async for piece in pieces_of(stream, most)])


async def _complaint(stream: asyncssh.SSHReader[bytes]) -> bytes:
    """Read all that comes, so that nothing is held up by it, and keep the end."""
    kept = b""
    while piece := await stream.read(PIECE):
        kept = (kept + piece)[-_COMPLAINT:]
    return kept


async def _ended(complaint: asyncio.Task[bytes]) -> bytes:
    try:
        return await complaint
    except LOST:
        return b""
