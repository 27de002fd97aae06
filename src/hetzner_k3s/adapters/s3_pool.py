"""The HTTP pool that the S3 library asks through: answers of bounded size, a bounded number of them, and the proxy.

No `.netrc` is read and no redirect followed. `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are honoured.
"""

from __future__ import annotations

import io
import os
import threading
from typing import Any, Final

import certifi
import requests.utils
import urllib3
from urllib3.exceptions import HTTPError

_CONNECT_SECONDS: Final = 5.0
_READ_SECONDS: Final = 60.0
_MOST_BYTES: Final = 16 << 20
"""Of an answer that is no object: a page of a listing has a sixteenth of that."""
_REQUESTS_MOST: Final = 1000
"""Of one call: a listing whose pages never end would be read for ever."""
_PIECE: Final = 1 << 16


class Pool(urllib3.PoolManager):
    """A pool as the library wants it, which asks through another one: with a proxy, or without.

    Args:
        url: of the service, which decides on the proxy.
        connections: how many are kept.
    """

    def __init__(self, url: str, connections: int) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "timeout": urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            "retries": urllib3.Retry(
                total=2, redirect=0, backoff_factor=0.3, status_forcelist=[500, 502, 503, 504], raise_on_redirect=False
            ),
            "maxsize": connections,
            "cert_reqs": "CERT_REQUIRED",
            "ca_certs": os.environ.get("SSL_CERT_FILE") or certifi.where(),
        }
        self._pool = _manager(url, options)
        self._calls = threading.local()

    def begin(self) -> None:
        """Begin a call of this thread."""
        self._calls.requests = 0

    def clear(self) -> None:
        """Drop all connections."""
        if hasattr(self, "_pool"):
            self._pool.clear()

    def urlopen(  # type: ignore[override]
        self, method: str, url: str, *, body: Any = None, headers: Any = None, preload_content: bool = True
    ) -> Any:
        """Ask; only an object that is downloaded is left to be read by the caller."""
        self._calls.requests = getattr(self._calls, "requests", 0) + 1
        if self._calls.requests > _REQUESTS_MOST:
            raise HTTPError(f"it took more than {_REQUESTS_MOST} requests")
        answer = self._pool.urlopen(method, url, body=body, headers=headers, preload_content=False, redirect=False)
        if not preload_content and answer.status in (200, 206):
            return answer
        try:
            content = _content(answer)
        finally:
            answer.release_conn()
        return urllib3.HTTPResponse(
            body=io.BytesIO(content),
            headers={name: value for name, value in answer.headers.items() if name.lower() != "content-encoding"},
            status=answer.status,
            reason=answer.reason,
            request_method=method,
            preload_content=True,
        )


def _manager(url: str, options: dict[str, Any]) -> Any:
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
    if not proxy:
        return urllib3.PoolManager(**options)
    user, password = requests.utils.get_auth_from_url(proxy)
    headers = urllib3.make_headers(proxy_basic_auth=f"{user}:{password}") if user else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


def _content(answer: Any) -> bytes:
    content = b""
    for piece in answer.stream(_PIECE, decode_content=True):
        content += piece
        if len(content) > _MOST_BYTES:
            answer.close()
            raise HTTPError(f"an answer is longer than {_MOST_BYTES >> 20} MiB")
    return content
