"""A server or agent talking to the supervisor of another server: trust by token, then basic authentication."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.etcd.port import EtcdError, EtcdUnavailable, Member
from hetzner_k3s.lab.k3s.trust import bootstrap, tokens
from hetzner_k3s.lab.k3s.trust.certificates import Pair
from hetzner_k3s.lab.k3s.trust.tokens import Token


class SupervisorError(Exception):
    """The other server refused or did not answer; the text is what k3s prints."""

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def _connection_problem(url: str, problem: BaseException) -> SupervisorError:
    return SupervisorError(f'Get "{url}": {problem}' if str(problem) else f'Get "{url}": context deadline exceeded')


async def fetch_cacerts(server: str, timeout: float = 10) -> bytes:
    """Fetch a cluster's CA file without trusting anything yet."""
    url = f"{server}/cacerts"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
            session.get(url, ssl=False) as response,
        ):
            if response.status != 200:
                raise SupervisorError(f"{url}: {response.status} {response.reason}", response.status)
            return await response.read()
    except (TimeoutError, aiohttp.ClientError, OSError) as problem:
        raise _connection_problem(url, problem) from problem


async def trusted_cacerts(server: str, token: Token, timeout: float = 10) -> bytes:
    """Fetch a cluster's CA file and hold it against the token; an unpinned token is warned about.

    Raises:
        SupervisorError: no answer, or another cluster than the token's.
    """
    try:
        cacerts = await fetch_cacerts(server, timeout)
    except SupervisorError as problem:
        raise SupervisorError(f"failed to get CA certs: {problem}", problem.code) from problem
    try:
        tokens.check_ca(token, cacerts)
    except tokens.TokenError as problem:
        raise SupervisorError(str(problem)) from problem
    if token.ca_hash is None:
        logfmt.warning(tokens.UNPINNED)
    return cacerts


@dataclass(slots=True)
class SupervisorClient:
    """One server's supervisor.

    Args:
        server: base URL.
        cacerts: what it must be signed by.
        password: the token's password.
    """

    server: str
    cacerts: bytes
    password: str

    async def _request(
        self,
        method: str,
        path: str,
        user: str,
        *,
        timeout: float,
        headers: dict[str, str] | None = None,
        body: Any = None,
    ) -> bytes:
        context = ssl.create_default_context(cadata=self.cacerts.decode())
        url = self.server + path
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout)) as session,
                session.request(
                    method,
                    url,
                    ssl=context,
                    headers={"Authorization": aiohttp.BasicAuth(user, self.password).encode(), **(headers or {})},
                    json=body,
                ) as response,
            ):
                data = await response.read()
                if response.status >= 300:
                    raise SupervisorError(_message(data, response.status), response.status)
                return data
        except (TimeoutError, aiohttp.ClientError, OSError) as problem:
            raise _connection_problem(url, problem) from problem

    async def get(
        self, path: str, user: str = "node", headers: dict[str, str] | None = None, timeout: float = 10
    ) -> bytes:
        """GET a path as `node` or `server`.

        Raises:
            SupervisorError: with the HTTP code, or 0 when there was no answer.
        """
        return await self._request("GET", path, user, timeout=timeout, headers=headers)

    async def bootstrap_data(self, timeout: float = 15) -> dict[str, bootstrap.File]:
        """Fetch the cluster's authorities (server role)."""
        return bootstrap.decode(await self.get("/v1-k3s/server-bootstrap", "server", timeout=timeout))

    async def config(self) -> dict[str, Any]:
        """Fetch the other server's configuration."""
        return _object(await self.get("/v1-k3s/config"))

    async def members(self) -> tuple[Member, ...]:
        """Fetch etcd's member list.

        Raises:
            EtcdError: k3s' text when it cannot be had.
        """
        try:
            rows = _object(await self.get("/db/info", "server"))["members"]
        except SupervisorError as problem:
            raise EtcdUnavailable(f"failed to get etcd MemberList: {problem}") from problem
        return tuple(_member(row) for row in rows)

    async def add_learner(self, peer_url: str) -> tuple[Member, ...]:
        """Ask the other server to add this one as a learner.

        Raises:
            EtcdError: etcd's own text.
        """
        try:
            data = await self._request("POST", "/lab/member", "server", timeout=15, body={"peerURL": peer_url})
        except SupervisorError as problem:
            raise EtcdError(str(problem) if problem.code else "context deadline exceeded") from problem
        return tuple(_member(row) for row in _object(data)["members"])

    async def snapshot(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Save, list or delete snapshots on the other server."""
        return _object(await self._request("POST", "/db/snapshot", "server", timeout=120, body=wish))

    async def rotate_token(self, new: str) -> None:
        """Replace the cluster's token."""
        await self._request("PUT", "/v1-k3s/token", "server", timeout=30, body={"newToken": new})

    async def rotate_ca(self, pairs: Mapping[str, Pair], *, force: bool) -> None:
        """Replace authorities in the datastore; what is not given stays."""
        files = {name: bootstrap.File(pair.certificate, 0) for name, pair in pairs.items()}
        files |= {f"{name}Key": bootstrap.File(pair.key, 0) for name, pair in pairs.items()}
        path = f"/v1-k3s/cert/cacerts?force={str(force).lower()}"
        await self._request("PUT", path, "server", timeout=30, body=json.loads(bootstrap.encode(files)))


def _object(data: bytes) -> dict[str, Any]:
    return json.loads(data)  # type: ignore[no-any-return]


def _message(data: bytes, code: int) -> str:
    try:
        return str(_object(data)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{code}: {data[:200].decode(errors='replace')}"


def _member(row: dict[str, Any]) -> Member:
    return Member(
        int(row["ID"]),
        row.get("name", ""),
        tuple(row.get("peerURLs", ())),
        tuple(row.get("clientURLs", ())),
        row.get("isLearner", False),
    )
