"""A backup on the operator's machine: a folder of mode 0700 that appears only when everything in it is whole."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from hetzner_k3s.adapters.system.files import make_private, naming, write_private
from hetzner_k3s.model.secrets import Secret

SUMS: Final = "SHA256SUMS"


class BackupBundle:
    """`ports.Bundle`.

    Args:
        folder: where it appears; it must not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._part = folder.with_name(f".{folder.name}.part")
        make_private(folder.parent)
        shutil.rmtree(self._part, ignore_errors=True)
        self._part.mkdir(mode=0o700)
        self._sums: dict[str, str] = {}

    def add(self, name: str, text: Secret) -> None:
        """Write a text."""
        content = text.reveal()
        write_private(self._part / name, content)
        self._sums[name] = hashlib.sha256(content.encode()).hexdigest()

    async def add_stream(self, name: str, pieces: AsyncIterator[bytes]) -> int:
        """Write what comes in pieces; gives its size in bytes."""
        digest, size = hashlib.sha256(), 0
        path = self._part / name
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            async for piece in pieces:
                digest.update(piece)
                size += len(piece)
                with naming(path):
                    file.write(piece)
            with naming(path):
                file.flush()
                os.fsync(file.fileno())
        self._sums[name] = digest.hexdigest()
        return size

    def finish(self) -> Path:
        """Write the checksums and let the folder appear."""
        lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(self._sums.items()))
        write_private(self._part / SUMS, lines)
        return self._part.rename(self._folder)

    def give_up(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._part, ignore_errors=True)
