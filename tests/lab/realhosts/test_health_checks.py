"""A load balancer's check asks what it was told to ask, and takes the answers it was told to take."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hetzner_k3s.lab.cloud.effects.machines import HttpCheck
from hetzner_k3s.lab.realhosts.network import health_checks

READY = HttpCheck(path="/readyz", status_codes=("200", "401"), tls=True)
UNAUTHORIZED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 12\r\n\r\nUnauthorized"


def own_certificate(folder: Path) -> ssl.SSLContext:
    """Return TLS with a certificate that nobody knows, as k3s has one."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    addresses = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("192.0.2.1"))])
    signed = made.add_extension(addresses, critical=False).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    file = folder / "both.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def asked(check: HttpCheck | None, answer: bytes, tls: ssl.SSLContext | None) -> tuple[bool, bytes]:
    """Check a server that answers so; return whether it passed, and what it was asked."""
    requests: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(4096))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        connected = socket.create_connection(server.sockets[0].getsockname())
        connected.setblocking(False)
        passed = await health_checks.passes(connected, check)
    return passed, b"".join(requests)


CASES: dict[str, tuple[HttpCheck, bytes, bool]] = {
    "serving": (READY, UNAUTHORIZED, True),
    "starting": (READY, b"HTTP/1.1 503 Service Unavailable\r\n\r\n", False),
    "a class of statuses": (replace(READY, status_codes=("4??",)), UNAUTHORIZED, True),
    "any status": (replace(READY, status_codes=("*",)), b"HTTP/1.1 503 Service Unavailable\r\n\r\n", True),
    "no status at all": (replace(READY, status_codes=()), UNAUTHORIZED, False),
    "another protocol": (replace(READY, status_codes=("*",)), b"SSH-2.0-OpenSSH_9.2\r\n", False),
    "nothing": (READY, b"", False),
    "with the word": (replace(READY, response="author"), UNAUTHORIZED, True),
    "without the word": (replace(READY, response="ok"), UNAUTHORIZED, False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tls", [True, False])
def test_what_passes(tmp_path: Path, case: str, tls: bool) -> None:
    check, answer, passes = CASES[case]
    context = own_certificate(tmp_path) if tls else None
    passed, request = asyncio.run(asked(replace(check, tls=tls), answer, context))
    assert passed is passes
    assert request == b"GET /readyz HTTP/1.0\r\nConnection: close\r\n\r\n"


def test_a_domain_is_asked_for() -> None:
    _, request = asyncio.run(asked(replace(READY, tls=False, domain="api.example"), UNAUTHORIZED, None))
    assert b"\r\nHost: api.example\r\n" in request


def test_tls_is_not_taken_for_plain_http() -> None:
    with pytest.raises(OSError, match=r"SSL|ssl"):
        asyncio.run(asked(READY, UNAUTHORIZED, None))


def test_a_connection_is_enough_for_a_tcp_check() -> None:
    assert asyncio.run(asked(None, b"", None))[0]
