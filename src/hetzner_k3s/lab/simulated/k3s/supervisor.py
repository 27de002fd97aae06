"""One host speaking to the k3s of another: who answers at a URL, and what its supervisor gives to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from hetzner_k3s.lab.cloud.effects.machines import BalancerSpec
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, EtcdUnavailable, Member
from hetzner_k3s.lab.k3s.trust import ca_bundle, tokens
from hetzner_k3s.lab.k3s.trust.bootstrap import File
from hetzner_k3s.lab.k3s.trust.tokens import Token
from hetzner_k3s.lab.simulated.hosts.host import Host
from hetzner_k3s.lab.simulated.hosts.server import Server
from hetzner_k3s.lab.simulated.k3s import balancing
from hetzner_k3s.lab.simulated.site import Site

_LIST_SECONDS = 2.0


class SupervisorError(Exception):
    """The other server refused or did not answer (code 0); the text is what k3s prints."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


async def dial(site: Site[Host], caller: Host, url: str, timeout: float) -> Server:
    """Find the k3s server that listens at a URL.

    Raises:
        SupervisorError: packets are dropped (after `timeout` seconds), or nothing listens there.
    """
    address = urlsplit(url).hostname or ""
    balanced = next((spec for spec in site.balancers.values() if address in spec.addresses), None)
    host = _healthy(site, balanced) if balanced else site.host_at(address)
    if balanced is None and (host is None or not _reaches(site, caller, host, address)):
        await asyncio.sleep(timeout)
        raise SupervisorError(f'Get "{url}": context deadline exceeded')
    if host is None or host.server is None or not host.server.listening:
        raise SupervisorError(f'Get "{url}": connect: connection refused')
    return host.server


def _reaches(site: Site[Host], caller: Host, host: Host, address: str) -> bool:
    return site.connected(caller, host) and host.lets_in(address, balancing.API_PORT, caller.spec.public_ipv4)


def _healthy(site: Site[Host], balanced: BalancerSpec) -> Host | None:
    """Return the first target of a load balancer that passes its check; the balancer answers for itself."""
    passed = balancing.health(site, balanced)
    return next((site.hosts[number] for (number, _), healthy in passed.items() if healthy), None)


def trusted_cacerts(server: Server, token: Token) -> bytes:
    """Take a server's CA file and hold it against the token.

    Raises:
        SupervisorError: it is another cluster's.
    """
    cacerts = server.disk.server_ca or b""
    try:
        tokens.check_ca(token, cacerts)
    except tokens.TokenError as problem:
        raise SupervisorError(str(problem)) from problem
    return cacerts


@dataclass(frozen=True, slots=True)
class SupervisorClient:
    """What a host gets from a server with a password.

    Args:
        site, caller: who asks.
        url: whom.
        password: the token's.
    """

    site: Site[Host]
    caller: Host
    url: str
    password: str

    async def _server(self, user: str, timeout: float) -> Server:
        server = await dial(self.site, self.caller, self.url, timeout)
        if server.passwords.get(user, ("",))[0] != self.password:
            raise SupervisorError("not authorized", 401)
        if not server.serving:
            raise SupervisorError("starting", 503)
        return server

    async def config(self) -> Mapping[str, Any]:
        """Fetch the other server's configuration."""
        return (await self._server("node", 10)).description

    async def bootstrap_data(self, timeout: float, trusted: bytes | None = None) -> dict[str, File]:
        """Fetch the cluster's authorities; an existing member trusts the CA on its own disk (`trusted`) and the
        one that it was rotated into.

        Raises:
            SupervisorError: another cluster answers, or none.
        """
        server = await self._server("server", timeout)
        if trusted is not None and not ca_bundle.trusts(trusted, server.disk.server_ca or b""):
            raise SupervisorError("tls: failed to verify certificate: x509: certificate signed by unknown authority")
        return dict(server.disk.server)

    async def members(self) -> tuple[Member, ...]:
        """Fetch etcd's member list.

        Raises:
            EtcdError: k3s' text when it cannot be had.
        """
        try:
            server = await self._server("server", 10)
            return await asyncio.wait_for(server.member().members(), _LIST_SECONDS)
        except (SupervisorError, EtcdError, TimeoutError) as problem:
            raise EtcdUnavailable(f"failed to get etcd MemberList: {problem}") from problem

    async def add_learner(self, peer_url: str) -> tuple[Member, ...]:
        """Be added as a learner.

        Raises:
            EtcdError: etcd's own text.
        """
        try:
            server = await self._server("server", 10)
        except SupervisorError as problem:
            raise EtcdUnavailable("context deadline exceeded") from problem
        return await server.member().add_learner(peer_url)
