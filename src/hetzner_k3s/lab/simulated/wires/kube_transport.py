"""HTTP from an operator's machine to the masters' APIs on virtual time; a run can die before and after each write."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from typing import Final

import httpx2

from hetzner_k3s.lab.k3s.api.face import Answer, Request
from hetzner_k3s.lab.k3s.trust import ca_bundle
from hetzner_k3s.lab.simulated.chance import Chance
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.k3s import api_server
from hetzner_k3s.lab.simulated.moments import Moments
from hetzner_k3s.lab.simulated.wires.ssh_transport import Cut, SimulatedHosts, unless_cut

_TRIP: Final = (0.005, 0.03)


@dataclass(frozen=True, slots=True)
class KubeNetwork:
    """What lies between one run and the APIs.

    Args:
        hosts: the same operator's SSH, with its forwards.
        moments, chance: of the run.
    """

    hosts: SimulatedHosts
    moments: Moments
    chance: Chance
    writes: list[str] = field(default_factory=list)
    """Every request of this run that an API was given and that could change something."""

    def trusting(self, ca: bytes) -> httpx2.AsyncBaseTransport:
        """Return the transport of a client that trusts this CA alone."""
        return _Transport(self, ca)


class _Transport(httpx2.AsyncBaseTransport):
    def __init__(self, network: KubeNetwork, ca: bytes) -> None:
        self._network, self._ca = network, ca

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._network.moments.check()
        await asyncio.sleep(self._network.chance.uniform(*_TRIP))
        self._network.moments.check()
        asked = Request(
            method=request.method,
            path=request.url.path,
            query=request.url.params,
            accept=request.headers.get("Accept", ""),
            content_type=request.headers.get("Content-Type", ""),
            body=await request.aread(),
        )
        server = await self._server(request)
        answer = api_server.unready(server, asked) or await self._reached(request, server, asked)
        return httpx2.Response(answer.code, headers={"Content-Type": answer.content_type}, content=answer.body)

    async def _server(self, request: httpx2.Request) -> Server:
        """Return the k3s that a request comes to.

        Raises:
            httpx2.TransportError: it comes to none, or to one of another cluster.
        """
        host = self._network.hosts.forwards.host(request.url.port)
        if host is None:
            raise httpx2.ConnectError("All connection attempts failed", request=request)
        if not host.awake or host.ssh.silent:
            await asyncio.sleep(_patience(request))
            raise httpx2.ReadTimeout("", request=request)
        server = host.server
        if server is None or not server.listening:
            raise httpx2.ConnectError("the connection was closed: nothing listens on port 6443", request=request)
        if not ca_bundle.trusts(self._ca, server.disk.server_ca or b""):
            why = ssl.SSLCertVerificationError("certificate verify failed: unable to get local issuer certificate")
            raise httpx2.ConnectError(str(why), request=request) from why
        return server

    async def _reached(self, request: httpx2.Request, server: Server, asked: Request) -> Answer:
        """Let an API work on a request; a run can die before and after each write."""
        if asked.method == "GET":
            return await self._answer(request, server, asked)
        what = f"{asked.method} {asked.path}"
        self._network.writes.append(what)
        self._network.moments.pass_by(f"before {what}")
        answer = await self._answer(request, server, asked)
        self._network.moments.pass_by(f"after {what}")
        return answer

    async def _answer(self, request: httpx2.Request, server: Server, asked: Request) -> Answer:
        """Wait for an answer as long as the client does; what was asked goes on without it."""
        work = server.host.spawn(api_server.answer(server, asked))
        try:
            async with asyncio.timeout(_patience(request)):
                return await unless_cut(server.host.ssh, work)
        except TimeoutError:
            raise httpx2.ReadTimeout("", request=request) from None
        except Cut:
            raise httpx2.ReadError("", request=request) from None


def _patience(request: httpx2.Request) -> float:
    seconds: float = request.extensions["timeout"]["read"]
    return seconds
