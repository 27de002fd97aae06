"""One client a master: made at the first call, and anew where the way there, or its cluster, is another by now."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import httpx2

from hetzner_k3s.adapters.kube_session import Session, Transport, open_session
from hetzner_k3s.hosts.admin_kubeconfig import AdminKubeconfig, read_admin_kubeconfig
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.operations.looks import ReadSecret, SecretKind
from hetzner_k3s.ports import Hosts

T = TypeVar("T")

_API_PORT: Final = 6443
_UNAUTHORIZED: Final = 401


class Forwarder(Protocol):
    """What makes a port of a master reachable here; raises `HostError`."""

    async def forward(self, target: HostTarget, port: int) -> int:
        """Return a port of 127.0.0.1 here that leads to `port` of 127.0.0.1 there."""
        ...


class Sessions:
    """The sessions of one run.

    Args:
        hosts: reads each master's admin kubeconfig.
        forwarder: leads to its API.
        transport: what carries HTTP there.
    """

    def __init__(self, hosts: Hosts, forwarder: Forwarder, transport: Transport) -> None:
        self._hosts, self._forwarder, self._transport = hosts, forwarder, transport
        self._open: dict[int, Session] = {}
        self._left: list[Session] = []
        self._opening: dict[int, asyncio.Lock] = {}

    async def use(self, master: HostTarget, call: Callable[[Session], Awaitable[T]]) -> T:
        """Call a master's API, and once more with its kubeconfig of now where the one at hand is another cluster's.

        A master that is not kept after a split joins the other side while its SSH connection lives on: with the CA of
        before its API was called silent until the run ended. What is refused so has not happened.
        """
        session = await self._session(master)
        try:
            return await call(session)
        except httpx2.HTTPError as failure:
            if not _is_of_another_cluster(failure) or (renewed := await self._renewed(master, session)) is None:
                raise
        return await call(renewed)

    async def close(self) -> None:
        """Drop all connections."""
        sessions = [*self._open.values(), *self._left]
        self._open.clear()
        self._left.clear()
        await asyncio.gather(*(session.close() for session in sessions), return_exceptions=True)

    async def _session(self, master: HostTarget) -> Session:
        async with self._opening.setdefault(master.server_id, asyncio.Lock()):
            port = await self._forwarder.forward(master, _API_PORT)
            session = self._open.get(master.server_id)
            if session is not None and session.port == port:
                return session
            if session is not None:
                self._leave(master, session)
            return self._opened(master, await self._admin(master), port)

    async def _renewed(self, master: HostTarget, session: Session) -> Session | None:
        """Return a session with the kubeconfig of now, None where it is that of before.

        An admin's certificate that has expired is refused at each look: a client a look would use up all files.
        """
        async with self._opening[master.server_id]:
            current = self._open.get(master.server_id)
            if current is not None and current is not session:
                return current
            admin = await self._admin(master)
            if admin.is_same(session.admin):
                return None
            self._leave(master, session)
            return self._opened(master, admin, session.port)

    async def _admin(self, master: HostTarget) -> AdminKubeconfig:
        kubeconfig = await self._hosts.perform(master, ReadSecret(kind=SecretKind.KUBECONFIG))
        return read_admin_kubeconfig(kubeconfig, master.name)

    def _opened(self, master: HostTarget, admin: AdminKubeconfig, port: int) -> Session:
        self._open[master.server_id] = opened = open_session(admin, port, self._transport)
        return opened

    def _leave(self, master: HostTarget, session: Session) -> None:
        """Use a session no more; others are in the middle of calls with it, so it is closed at the end."""
        self._left.append(session)
        self._open.pop(master.server_id, None)


def _is_of_another_cluster(failure: httpx2.HTTPError) -> bool:
    """Check whether the API's certificate is not of the CA at hand, or ours not of the API's."""
    if isinstance(failure, httpx2.HTTPStatusError):
        return failure.response.status_code == _UNAUTHORIZED
    cause: BaseException | None = failure
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None
