"""k3s' release channels over HTTP: read in bounds, and any failure is one typed error."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from hetzner_k3s.adapters.hetzner import DEFAULT_ENDPOINT
from hetzner_k3s.adapters.system import K3sChannels
from hetzner_k3s.cli import wiring
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.version import K3sVersion

CHANNELS = [
    {"id": "stable", "type": "channel", "name": "stable", "latest": "v1.35.9+k3s1"},
    {"id": "v1.36", "type": "channel", "name": "v1.36", "latest": "v1.36.3+k3s1"},
    {"id": "v1.16-testing", "type": "channel", "name": "v1.16-testing"},
]


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/channels"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_the_newest_release_of_each_line_is_read() -> None:
    with answering(json.dumps({"data": CHANNELS}).encode()) as url:
        assert asyncio.run(K3sChannels(url).newest()) == {"v1.36": K3sVersion.parse("v1.36.3+k3s1")}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"data":5}',
        b'{"data":[5]}',
        b'{"data":[{"name":"v1.36","latest":"x"}]}',
        b" " * (2 << 20),
    ],
)
def test_what_is_no_list_of_channels_is_one_typed_error(body: bytes) -> None:
    with answering(body) as url, pytest.raises(ProductError, match="gave no channels"):
        asyncio.run(K3sChannels(url).newest())


@pytest.mark.parametrize(("more", "read"), [(0, True), (1, False), (2, False)])
def test_a_mebibyte_is_read_and_no_more(more: int, read: bool) -> None:
    document = json.dumps({"data": CHANNELS}).encode()
    with answering(document + b" " * ((1 << 20) - len(document) + more)) as url:
        if read:
            assert asyncio.run(K3sChannels(url).newest())
        else:
            with pytest.raises(ProductError, match="it sent more than 1 MiB"):
                asyncio.run(K3sChannels(url).newest())


def test_what_is_no_http_is_one_typed_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(ProductError, match=r"gave no channels: .*220 mail"):
            asyncio.run(K3sChannels(f"http://127.0.0.1:{server.getsockname()[1]}/channels").newest())
        thread.join(10)


def test_a_refusal_silence_or_another_scheme_is_one_typed_error() -> None:
    with answering(b"no", 503) as url, pytest.raises(ProductError, match="503"):
        asyncio.run(K3sChannels(url).newest())
    for url in ("http://127.0.0.1:9/channels", "file:///etc/passwd"):
        with pytest.raises(ProductError, match="gave no channels"):
            asyncio.run(K3sChannels(url).newest())


def test_the_lab_asks_nobody_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INSTALL_K3S_CHANNEL_URL", raising=False)
    assert wiring._releases("http://127.0.0.1:1/v1") is None
    assert wiring._releases(DEFAULT_ENDPOINT) is not None
