"""HTTP to one master's Kubernetes API: answers of bounded size, read as documents.

Nothing but the client certificate authenticates: no `.netrc`, no proxy, no redirect. The way leads through a verified
SSH connection to the master's own 127.0.0.1.
"""

from __future__ import annotations

import base64
import json
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx2

from hetzner_k3s.hosts.admin_kubeconfig import AdminKubeconfig
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt

_TIMEOUT: Final = 10.0
_MOST_BYTES: Final = 128 << 20
"""Of an answer: a thousand Nodes have a fifth of that."""
_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name."""
_PAGES_MOST: Final = 200
MERGE: Final = "application/merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
_JSON: Final = "application/json"


@dataclass(frozen=True, slots=True)
class Session:
    """The client of one master."""

    port: int
    admin: AdminKubeconfig
    http: httpx2.AsyncClient

    async def close(self) -> None:
        """Drop the connection."""
        await self.http.aclose()

    async def get(self, path: str, **params: str) -> Document:
        """Read one object."""
        return await self.send("GET", path, params=params)

    async def find(self, path: str) -> Document | None:
        """Read one object; None where there is none of that name."""
        try:
            return await self.get(path)
        except httpx2.HTTPStatusError as failure:
            if failure.response.status_code == 404:
                return None
            raise

    async def delete(self, path: str, uid: str, **options: str) -> None:
        """Delete one object, unless it is gone or another one has its name by now."""
        body = {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": uid}, **options}
        try:
            await self.send("DELETE", path, body)
        except httpx2.HTTPStatusError as refused:
            if refused.response.status_code not in (404, 409):
                raise

    async def listed(self, path: str, **params: str) -> list[Document]:
        """Read a list, to its last page."""
        found: list[Document] = []
        for _ in range(_PAGES_MOST):
            page = await self.get(path, **params)
            found += page.children_or_none("items")
            token = page.child_or_empty("metadata").text_or("continue")
            if not token:
                return found
            params["continue"] = token
        raise Malformed(f"it has more than {_PAGES_MOST} pages")

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        kind: str = _JSON,
        params: Mapping[str, str] | None = None,
    ) -> Document:
        """Ask, and read the answer.

        Raises:
            httpx2.HTTPStatusError: the API said no; the text is its own.
            httpx2.HTTPError: there was no answer.
            Malformed: there was one that cannot be read.
        """
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Accept": _JSON, **({"Content-Type": kind} if content else {})}
        async with self.http.stream(method, path, params=params, content=content, headers=headers) as answer:
            read = await _read(answer)
        if not answer.is_success:
            raise httpx2.HTTPStatusError(_said(answer, read), request=answer.request, response=answer)
        return Document.parsed(read)


def path_of(resource: str, name: str | None = None, *, namespace: str | None = None, group: str = "v1") -> str:
    """Return the path of a resource, with names as one segment each, whatever they hold."""
    root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
    inside = "" if namespace is None else f"/namespaces/{_segment(namespace)}"
    return f"{root}{inside}/{resource}" + ("" if name is None else f"/{_segment(name)}")


def _segment(name: str) -> str:
    if name in ("", ".", ".."):
        raise Malformed("an object has no name")
    return quote(name, safe="")


Transport = Callable[[AdminKubeconfig], httpx2.AsyncBaseTransport]
"""Makes what carries a client's requests."""


def over_tls(admin: AdminKubeconfig) -> httpx2.AsyncBaseTransport:
    """Make the transport that speaks TLS over a socket.

    Raises:
        ssl.SSLError, ValueError: the certificates are none.
    """
    return httpx2.AsyncHTTPTransport(verify=tls(admin), trust_env=False)


def open_session(admin: AdminKubeconfig, port: int, transport: Transport) -> Session:
    """Make the client; `port` of 127.0.0.1 here leads to the API there.

    Raises:
        ssl.SSLError, ValueError: the certificates are none.
    """
    http = httpx2.AsyncClient(
        base_url=f"https://127.0.0.1:{port}",
        transport=transport(admin),
        timeout=httpx2.Timeout(_TIMEOUT),
        trust_env=False,
        follow_redirects=False,
    )
    return Session(port, admin, http)


def tls(admin: AdminKubeconfig) -> ssl.SSLContext:
    """Return TLS that trusts the cluster's CA alone, whatever this machine's clock says, and shows our certificate.

    The way to the API lies inside a verified SSH connection to the master itself, which gave us the CA a moment ago. A
    clock that is a day behind would else make every API look silent: a new cluster's certificates begin to be valid
    when it is born.
    """
    context = ssl.create_default_context(cadata=base64.b64decode(admin.ca).decode("ascii"))
    # Strictness is on since Python 3.13, and k3s' certificates were not made for it. It goes first: `~` knows the names
    # that Python has alone, and would take the other flag away.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= _NO_CHECK_TIME
    with tempfile.NamedTemporaryFile() as file:  # 0600, gone at once: ssl takes certificates from files only
        file.write(base64.b64decode(admin.certificate) + b"\n" + base64.b64decode(admin.key.reveal()))
        file.flush()
        context.load_cert_chain(file.name, password="none")  # without one OpenSSL would ask the terminal for it
    return context


async def _read(answer: httpx2.Response) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_bytes():
        content += piece
        if len(content) > _MOST_BYTES:
            raise Malformed(f"it is longer than {_MOST_BYTES >> 20} MiB")
    return bytes(content)


def _said(answer: httpx2.Response, content: bytes) -> str:
    """Return the message of the API's Status, or the HTTP status where there is none."""
    try:
        message = excerpt(Document.parsed(content).raw_text("message"))
    except Malformed:
        message = ""
    return message or f"HTTP {answer.status_code}"
