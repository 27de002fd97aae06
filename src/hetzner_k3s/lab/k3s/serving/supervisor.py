"""k3s' own endpoints on 6443, beside the Kubernetes API (docs/facts/k3s.md#endpoints)."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api.http import json_response
from hetzner_k3s.lab.k3s.api.resources import SECRETS, Obj
from hetzner_k3s.lab.k3s.api.status import ApiError
from hetzner_k3s.lab.k3s.api.store import Store, utc_now
from hetzner_k3s.lab.k3s.etcd import bolt
from hetzner_k3s.lab.k3s.etcd.port import Etcd, EtcdError, Member
from hetzner_k3s.lab.k3s.serving import snapshots
from hetzner_k3s.lab.k3s.serving.state import Progress
from hetzner_k3s.lab.k3s.setup.paths import Layout, write
from hetzner_k3s.lab.k3s.trust import bootstrap, ca_rotation, node_password, pki, tokens
from hetzner_k3s.lab.k3s.trust.authorization import Caller, Verdict, is_supervisor_path, role_of, verdict
from hetzner_k3s.lab.k3s.trust.certificates import Issuer

MASTER_LEASES = "/registry/masterleases/"
_REASONS = {401: "Unauthorized", 403: "Forbidden", 500: "InternalError", 503: "ServiceUnavailable"}

Passwords = dict[str, tuple[str, str]]
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def error_response(code: int, message: str, details: Obj | None = None) -> web.Response:
    """Answer as the supervisor does: a Status without apiVersion, indented (http/local_noauth_v1-k3s_config.txt)."""
    body: dict[str, Any] = {"kind": "Status", "metadata": {}, "status": "Failure", "message": message}
    body |= {"reason": _REASONS[code]} | ({"details": details} if details else {}) | {"code": code}
    return web.Response(text=json.dumps(body, indent=2), status=code, content_type="application/json")


def caller_of(request: web.BaseRequest, passwords: Passwords) -> Caller:
    """Return who sent a request: basic authentication, client certificate, address."""
    role = role_of(request.headers.get("Authorization"), passwords)
    certificate = request.transport.get_extra_info("peercert") if request.transport else None
    names: dict[str, list[str]] = {}
    for part in (certificate or {}).get("subject", ()):
        for key, value in part:
            names.setdefault(key, []).append(value)
    common_name = names.get("commonName", [""])[0]
    return Caller(role, request.remote in ("127.0.0.1", "::1"), common_name, tuple(names.get("organizationName", ())))


@dataclass(slots=True)
class Supervisor:
    """Answers the supervisor's paths of one server.

    Args:
        layout: its files.
        config: its answer at `/v1-k3s/config`.
        node_name: its name.
        etcd: its member.
        store: the objects, for node passwords.
        progress: how far it is.
    """

    layout: Layout
    config: Obj
    node_name: str
    etcd: Etcd
    store: Store
    progress: Progress
    # Read once: a running server goes on accepting the old password after a rotation.
    passwords: Passwords = field(default_factory=dict)

    def load_passwords(self) -> None:
        """Read the password file."""
        self.passwords = tokens.parse_passwd(self.layout.passwd.read_text())

    def answers(self, path: str) -> bool:
        """Check whether a path is the supervisor's."""
        return is_supervisor_path(path)

    async def handle(self, request: web.BaseRequest, caller: Caller) -> web.StreamResponse:
        """Answer one request."""
        decision = verdict(request.path, caller)
        if decision is Verdict.UNAUTHORIZED:
            return error_response(401, "not authorized")
        if decision is Verdict.FORBIDDEN:
            return error_response(403, "forbidden")
        handlers: dict[str, Handler] = {
            "/ping": self._ping,
            "/cacerts": self._cacerts,
            "/v1-k3s/server-ca.crt": self._cacerts,
            "/v1-k3s/client-ca.crt": self._client_ca,
            "/v1-k3s/readyz": self._readyz,
            "/v1-k3s/config": self._config,
            "/v1-k3s/apiservers": self._apiservers,
            "/v1-k3s/server-bootstrap": self._bootstrap,
            "/v1-k3s/token": self._rotate_token,
            "/v1-k3s/cert/cacerts": self._rotate_ca,
            "/v1-k3s/encrypt/status": self._encryption,
            "/v1-k3s/serving-kubelet.crt": self._serving_kubelet,
            "/v1-k3s/client-kubelet.crt": self._client_kubelet,
            "/v1-k3s/client-kube-proxy.crt": self._client_proxy,
            "/v1-k3s/client-k3s-controller.crt": self._client_controller,
            "/db/info": self._db_info,
            "/db/snapshot": self._snapshot,
            "/lab/member": self._add_member,
        }
        handler = handlers.get(request.path)
        return await handler(request) if handler else error_response(403, "forbidden")

    async def _ping(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(text="pong")

    async def _cacerts(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(body=(self.layout.tls / "server-ca.crt").read_bytes(), content_type="text/plain")

    async def _client_ca(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(body=(self.layout.tls / "client-ca.crt").read_bytes(), content_type="text/plain")

    async def _readyz(self, request: web.BaseRequest) -> web.Response:
        if not self.progress.api_ready:
            return self._not_ready(request)
        return web.Response(text="ok")

    def _not_ready(self, request: web.BaseRequest) -> web.Response:
        logfmt.error(f"Sending HTTP/1.1 503 response to {request.remote}: runtime core not ready")
        return error_response(503, "runtime core not ready")

    async def _config(self, _request: web.BaseRequest) -> web.Response:
        return json_response(self.config)

    async def _apiservers(self, request: web.BaseRequest) -> web.Response:
        if not self.progress.api_ready:
            return self._not_ready(request)
        return json_response(await api_servers(self.store))

    async def _bootstrap(self, _request: web.BaseRequest) -> web.Response:
        body = bootstrap.encode(bootstrap.read(self.layout))
        return web.Response(body=body, content_type="application/octet-stream")

    async def _encryption(self, _request: web.BaseRequest) -> web.Response:
        return json_response({"enable": None, "activekey": "", "rotationstage": "", "hasherror": ""})

    async def _db_info(self, _request: web.BaseRequest) -> web.Response:
        try:
            members = await asyncio.wait_for(self.etcd.members(), 2)
        except (EtcdError, TimeoutError):
            text = "failed to get etcd MemberList: context deadline exceeded"
            return error_response(500, f"Internal error occurred: {text}", {"causes": [{"message": text}]})
        return json_response({"members": [_member(member) for member in members]})

    async def _add_member(self, request: web.BaseRequest) -> web.Response:
        # The real joiner speaks gRPC to the other members' port 2379; the lab's asks the server it joins.
        try:
            members = await self.etcd.add_learner(str((await request.json())["peerURL"]))
        except EtcdError as problem:
            return error_response(500, problem.message)
        return json_response({"members": [_member(member) for member in members]})

    async def _snapshot(self, request: web.BaseRequest) -> web.StreamResponse:
        while not self.progress.api_ready:  # noqa: ASYNC110 - as recorded, the command hangs while there is no quorum
            await asyncio.sleep(0.2)
        wish = await request.json() if request.can_read_body else {}
        return await snapshots.answer(wish, self.etcd, self.store, self.layout, self.node_name)

    async def _serving_kubelet(self, request: web.BaseRequest) -> web.Response:
        name, password = request.headers.get("k3s-Node-Name", ""), request.headers.get("k3s-Node-Password", "")
        if not self.progress.api_ready:
            return self._not_ready(request)
        try:
            await check_node_password(self.store, name, password)
        except ApiError as problem:
            return error_response(403, problem.message)
        addresses = [part for part in request.headers.get("k3s-Node-IP", "").split(",") if part]
        return self._signed("server-ca", name, server_names=("localhost", "127.0.0.1", name, *addresses))

    async def _client_kubelet(self, request: web.BaseRequest) -> web.Response:
        name = request.headers.get("k3s-Node-Name", "")
        return self._signed("client-ca", f"system:node:{name}", organization="system:nodes")

    async def _client_proxy(self, _request: web.BaseRequest) -> web.Response:
        return self._signed("client-ca", "system:kube-proxy")

    async def _client_controller(self, _request: web.BaseRequest) -> web.Response:
        return self._signed("client-ca", "system:k3s-controller")

    def _signed(
        self, authority: str, name: str, organization: str = "", server_names: tuple[str, ...] = ()
    ) -> web.Response:
        issuer = Issuer(pki.load(self.layout.tls / authority))
        pair = issuer.sign(name, utc_now(), organization=organization, server_names=server_names)
        return web.Response(body=pair.certificate + pair.key, content_type="text/plain")

    async def _rotate_token(self, request: web.BaseRequest) -> web.Response:
        if request.method != "PUT":
            return error_response(403, "forbidden")
        new = tokens.parse(str((await request.json())["newToken"])).password
        await rotate(self.store, self.layout, self.passwords["server"][0], new)
        return web.Response(text="")

    async def _rotate_ca(self, request: web.BaseRequest) -> web.Response:
        if request.method != "PUT":
            return error_response(403, "forbidden")
        force, given = request.query.get("force") == "true", bootstrap.decode(await request.read())
        try:
            await ca_rotation.replace(self.store.kv, self.passwords["server"][0], given, time.time(), force=force)
        except ca_rotation.Untrusted as problem:
            return error_response(400, str(problem))
        return web.Response(status=204)


def _member(member: Member) -> Obj:
    row: Obj = {"ID": member.id}
    row |= {"name": member.name} if member.name else {}
    row |= {"peerURLs": list(member.peer_urls)}
    row |= {"clientURLs": list(member.client_urls)} if member.client_urls else {}
    return row | ({"isLearner": True} if member.learner else {})


async def api_servers(store: Store) -> list[str]:
    """List the servers whose API answers, by their etcd leases of 15 s."""
    found = await store.kv.list(MASTER_LEASES)
    return [f"{entry.key.removeprefix(MASTER_LEASES)}:6443" for entry in found.entries]


async def check_node_password(store: Store, name: str, password: str) -> None:
    """Compare a node's password with its Secret, or take the first one.

    Raises:
        ApiError: 403 when another host owns the name.
    """
    found = await store.find(SECRETS, node_password.secret_name(name), "kube-system")
    loop = asyncio.get_running_loop()
    if found is None:
        # scrypt takes 0.1 s of processor time: not on the event loop.
        made = await loop.run_in_executor(None, node_password.secret, name, password)
        await store.create(SECRETS, made, "kube-system")
        return
    if not await loop.run_in_executor(None, node_password.matches, node_password.stored_hash(found), password):
        raise ApiError(403, node_password.REJECTED)


async def save_bootstrap(store: Store, layout: Layout, password: str) -> None:
    """Store the bootstrap data under this password's key, unless it is there.

    Raises:
        ShutdownRequested: the datastore holds data of another token.
    """
    logfmt.info("Saving cluster bootstrap data to datastore")
    key = tokens.storage_key(password)
    present = {entry.key for entry in (await store.kv.list("/bootstrap/")).entries}
    if key in present:
        logfmt.warning("Bootstrap key already exists")
    elif present:
        raise logfmt.ShutdownRequested(f"failed to save bootstrap data: {bootstrap.OTHER_TOKEN}")
    else:
        await store.kv.put(key, bootstrap.encrypt(password, bootstrap.encode(bootstrap.read(layout))), 0)
        await _flushed(layout, key)


async def _flushed(layout: Layout, key: str) -> None:
    """Wait until etcd's backend holds a key: it is written each 100 ms.

    A real k3s reads the write-ahead log as well at its next start, ours reads the backend alone.
    """
    ends = time.monotonic() + 5
    while layout.backend.exists() and time.monotonic() < ends:
        if key in bolt.keys(layout.backend, key):
            return
        await asyncio.sleep(0.02)


async def rotate(store: Store, layout: Layout, old: str, new: str) -> None:
    """Re-encrypt the datastore's bootstrap data with a new password; of the files only this server's follow."""
    found = await store.kv.get(tokens.storage_key(old))
    if not found.entries or old == new:
        return
    current = tokens.parse_passwd(layout.passwd.read_text())
    agent = new if current["node"][0] == old else current["node"][0]
    passwd = tokens.passwd_file(new, agent)
    bundle = bootstrap.decode(bootstrap.decrypt(old, found.entries[0].value))
    bundle["PasswdFile"] = bootstrap.File(passwd.encode(), time.time())
    await store.kv.put(tokens.storage_key(new), bootstrap.encrypt(new, bootstrap.encode(bundle)), 0)
    await store.kv.delete(tokens.storage_key(old), found.entries[0].mod_revision)
    write(layout.passwd, passwd)
    pki.write_tokens(layout, new)
