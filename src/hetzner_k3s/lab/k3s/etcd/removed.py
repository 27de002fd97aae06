"""A removed member: its etcd has stopped, its health endpoint still says that there is no leader."""

from __future__ import annotations

from aiohttp import web

_ANSWER = '{"health":"false","reason":"RAFT NO LEADER"}'


class RemovedMember:
    """Stands in for the metrics port of an etcd that ended itself; the real, embedded one goes on listening."""

    def __init__(self) -> None:
        self.known = False
        self._runner: web.ServerRunner | None = None

    async def serve(self, port: int = 2381) -> None:
        """Answer on 127.0.0.1 until `stop`."""
        self.known = True
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, reuse_address=True, reuse_port=True).start()

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _answer(self, _request: web.BaseRequest) -> web.Response:
        return web.Response(text=_ANSWER, status=503)
