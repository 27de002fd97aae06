"""An HTTP server that answers whatever a test wants, also what no server should."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: `length` is what is announced instead of its own length; a `raw` one is sent without headers."""

    body: bytes
    status: int = 200
    length: int | None = None
    raw: bool = False
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Answering:
    """What is answered, and what was asked: `asked` holds method, path and headers."""

    answer: Callable[[str, str], Answer]
    port: int = 0
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.asked]


@contextmanager
def answering(
    answer: Callable[[str, str], Answer] = lambda _method, _path: Answer(b""), tls: ssl.SSLContext | None = None
) -> Iterator[Answering]:
    """Serve on loopback for the length of a block, by TLS if given."""
    told = Answering(answer)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def handle_one_request(self) -> None:
            try:
                BaseHTTPRequestHandler.handle_one_request(self)
            except (ConnectionError, TimeoutError):
                self.close_connection = True

        def _serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.asked.append((self.command, self.path, dict(self.headers)))
            given = told.answer(self.command, self.path)
            if given.raw:
                self.wfile.write(given.body)
                self.close_connection = True
                return
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body) if given.length is None else given.length))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(given.body)
            self.close_connection = self.close_connection or given.length is not None

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    told.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
