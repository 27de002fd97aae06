"""k3s' release channels: the newest release of each line, as k3s' own installer reads them."""

from __future__ import annotations

import re
import urllib.request
from http.client import HTTPException
from typing import Final

from hetzner_k3s.adapters.threads import in_thread
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt
from hetzner_k3s.model.version import K3sVersion

DEFAULT_CHANNELS: Final = "https://update.k3s.io/v1-release/channels"
_SECONDS: Final = 5.0
_MOST: Final = 1 << 20
_WORDS: Final = 200
_LINE: Final = re.compile(r"v[0-9]+\.[0-9]+")


class K3sChannels:
    """`ports.Releases` at a URL; proxy variables are honoured, nothing is sent but the request."""

    def __init__(self, url: str = DEFAULT_CHANNELS) -> None:
        self._url = url

    async def newest(self) -> dict[str, K3sVersion]:
        """Return the newest release of each line (`v1.36`)."""
        return {name: release for name, release in (await self.channels()).items() if _LINE.fullmatch(name)}

    async def channels(self) -> dict[str, K3sVersion]:
        """Return the newest release of each channel: of each line, and of `stable`, `latest` and the like."""
        try:
            answer = await in_thread(self._read)
            told = dict(map(_channel, Document.parsed(answer).children("data")))
            return {name: K3sVersion.parse(newest) for name, newest in told.items() if newest or _LINE.fullmatch(name)}
        except (OSError, HTTPException, Malformed, ValueError) as failure:
            raise ProductError(f"{self._url} gave no channels: {excerpt(str(failure), _WORDS)}") from None

    def _read(self) -> bytes:
        if not self._url.startswith(("https://", "http://")):
            raise ValueError("it is no URL of HTTP")
        with urllib.request.urlopen(self._url, timeout=_SECONDS) as answer:
            text: bytes = answer.read(_MOST + 1)
        if len(text) > _MOST:
            raise ValueError("it sent more than 1 MiB")
        return text


def _channel(document: Document) -> tuple[str, str]:
    return document.text("name"), document.text_or("latest")
