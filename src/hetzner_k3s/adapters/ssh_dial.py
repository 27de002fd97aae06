"""The way to a host by SSH: TCP, its host key, the login; here alone stands how many are on it at once."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack
from typing import Any, Final

import asyncssh

from hetzner_k3s.model.errors import Fate, HostUnreachable, SshStage
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.text.printable import excerpt

CONNECT_SECONDS: Final = 5.0
HANDSHAKE_SECONDS: Final = 10.0
"""For host key and login, once TCP is there; this machine may be the slow one, and others' handshakes go on beside."""

CONNECTS_AT_ONCE: Final = 256
HANDSHAKES_AT_ONCE: Final = 64
"""One takes 4 ms of CPU here and some six round trips: with 24 at once, distant hosts waited for each other."""

_WORDS: Final = 300
"""Characters of a peer's own words that are shown: it may be anybody, as long as no host key was checked."""

_OTHER_KEY: Final = (
    "If the server was rebuilt or replaced by hand, delete it and run create again; "
    "if another machine answers on its address, wait until Hetzner's listing shows the right one."
)

LOST: Final = (asyncssh.Error, OSError, asyncio.TimeoutError)
"""What asyncssh raises where a connection cannot be made, or breaks."""


class Dialer:
    """Makes connections; who waits for hosts that are silent keeps no handshake waiting."""

    def __init__(self) -> None:
        self._connects = asyncio.Semaphore(CONNECTS_AT_ONCE)
        self._handshakes = asyncio.Semaphore(HANDSHAKES_AT_ONCE)

    async def dial(self, target: HostTarget, **options: Any) -> asyncssh.SSHClientConnection:
        """Connect and log in with asyncssh's options.

        Raises:
            HostUnreachable: it was not possible, with the stage that failed.
        """
        async with self._connects:
            connected = await _connected(target)
        with ExitStack() as unused:
            unused.callback(connected.close)
            async with self._handshakes:
                unused.pop_all()
                return await _logged_in(target, sock=connected, **options)


async def _connected(target: HostTarget) -> socket.socket:
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    connected = socket.socket(family, socket.SOCK_STREAM)
    connected.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(connected, (target.address, target.port))
    except BaseException as failure:
        connected.close()
        if not isinstance(failure, LOST):
            raise
        raise unreachable(target, SshStage.TCP, _no_answer(failure, CONNECT_SECONDS)) from failure
    return connected


async def _logged_in(target: HostTarget, **options: Any) -> asyncssh.SSHClientConnection:
    try:
        return await asyncssh.connect(target.address, target.port, **options)
    except asyncssh.KeyExchangeFailed as failure:
        what = f"it offers no ed25519 host key ({words(failure)})"
        raise unreachable(target, SshStage.HOST_KEY, what) from failure
    except asyncssh.HostKeyNotVerifiable as failure:
        what = "its host key is none of those that its labels name"
        raise unreachable(target, SshStage.HOST_KEY, what, hint=_OTHER_KEY) from failure
    except asyncssh.PermissionDenied as failure:
        raise unreachable(target, SshStage.AUTH, "permission denied for root") from failure
    except LOST as failure:
        raise unreachable(target, SshStage.TCP, _no_answer(failure, HANDSHAKE_SECONDS)) from failure


def unreachable(
    target: HostTarget, stage: SshStage, what: str, *, fate: Fate = Fate.DID_NOT_HAPPEN, hint: str = ""
) -> HostUnreachable:
    """Return the error of a host that cannot be spoken to, named with its address."""
    message = f"{target.name} ({target.address}:{target.port}): {what}"
    return HostUnreachable(message, server=target.name, stage=stage, fate=fate, why=what, hint=hint)


def words(failure: BaseException) -> str:
    """Return what a failure says; the text may be the peer's own."""
    return excerpt(str(failure) or type(failure).__name__, _WORDS)


def _no_answer(failure: BaseException, within: float) -> str:
    if isinstance(failure, TimeoutError):
        return f"no answer by SSH within {within:.0f} s"
    if isinstance(failure, ConnectionRefusedError):
        return "nothing listens for SSH (connection refused)"
    return f"no answer by SSH: {words(failure)}"
