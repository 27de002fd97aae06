"""Port 6443: one TLS listener in front of supervisor and API server."""

from __future__ import annotations

import ssl

from aiohttp import web

from hetzner_k3s.lab.k3s import logfmt
from hetzner_k3s.lab.k3s.api import requests
from hetzner_k3s.lab.k3s.api.http import ApiFace, json_response
from hetzner_k3s.lab.k3s.api.status import INITIALIZING, failure
from hetzner_k3s.lab.k3s.serving.state import Progress
from hetzner_k3s.lab.k3s.serving.supervisor import Supervisor, caller_of, error_response
from hetzner_k3s.lab.k3s.setup.paths import Layout
from hetzner_k3s.lab.k3s.trust import pki


class Listener:
    """Serves HTTPS on all addresses; clients may show a certificate of the client authority.

    Args:
        layout: where the certificates lie.
        progress: decides between `starting`, `apiserver not ready` and real answers.
        supervisor, api: who answers.
    """

    def __init__(self, layout: Layout, progress: Progress, supervisor: Supervisor, api: ApiFace) -> None:
        self._layout, self._progress = layout, progress
        self._supervisor, self._api = supervisor, api
        self._runner: web.ServerRunner | None = None

    async def start(self, port: int = 6443) -> None:
        """Open the port."""
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        self._runner = web.ServerRunner(server)
        await self._runner.setup()
        await web.TCPSite(
            self._runner, None, port, ssl_context=self._tls(), reuse_address=True, shutdown_timeout=1
        ).start()

    async def stop(self) -> None:
        """Close the port and what is open on it."""
        if self._runner is not None:
            await self._runner.cleanup()

    def _tls(self) -> ssl.SSLContext:
        certificate, key = pki.server_certificate(self._layout)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self._layout.tls / "client-ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if not self._progress.serving:
            logfmt.error(f"Sending HTTP/1.1 503 response to {request.remote}: starting")
            return error_response(503, "starting")
        caller = caller_of(request, self._supervisor.passwords)
        if self._supervisor.answers(request.path):
            return await self._supervisor.handle(request, caller)
        if not self._progress.api_ready:
            return error_response(503, "apiserver not ready")
        if not caller.certificate:
            return json_response(failure(401, "Unauthorized"), 401)
        if not self._progress.storage_ready and requests.parse_path(request.path) is not None:
            answer = json_response(failure(429, INITIALIZING), 429)
            answer.headers["Retry-After"] = "1"
            return answer
        return await self._api.handle(request)
