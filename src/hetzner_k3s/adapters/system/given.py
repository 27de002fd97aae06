"""The snapshot that `Restore` names by its path: a file, or a folder that `hetzner-k3s backup` wrote; and whose it is.

What a snapshot is it says itself: it is etcd's file with its checksum at the end, and holds the namespace kube-system
and the names under which its keys are sealed (docs/facts/k3s.md#bootstrap-key). An archive of k3s holds one.
"""

from __future__ import annotations

import errno
import hashlib
import lzma
import mmap
import re
import tempfile
import zipfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from hetzner_k3s.adapters.system.bundle import SUMS
from hetzner_k3s.model.consents import Restore
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import GivenFile
from hetzner_k3s.model.text.documents import Document, Malformed

_ANOTHER: Final = "Name another file or folder, or a snapshot that `hetzner-k3s snapshots` lists."
_IDENTITY: Final = "identity.json"
_NAMESPACE: Final = b"/registry/namespaces/kube-system"
_NEAR: Final = 400
"""Bytes after a key within which its value's UID stands."""
_UUID: Final = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SEALED: Final = re.compile(rb"/bootstrap/([0-9a-f]{12})")
_CHECKSUM: Final = 32
_PIECE: Final = 1 << 18
_UNPACKED_BYTES: Final = 8 << 30
"""What the archive of a snapshot may unpack to: etcd keeps at most that."""


@dataclass(frozen=True, slots=True)
class GivenSnapshot:
    """Where it lies, what is known of it, and the tokens that lie beside it in a backup."""

    path: Path
    file: GivenFile
    tokens: tuple[Secret, ...]

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read it in pieces."""
        with self.path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece


def read_given(given: Restore | None) -> GivenSnapshot | None:
    """Read what the consent names; None where that is no path: `latest`, or a snapshot's name.

    Raises:
        ProductError: nothing lies there, it cannot be read, or it is no backup or a damaged one.
    """
    if given is None or not ("/" in given.named or Path(given.named).exists()):
        return None
    try:
        path, folder = _located(Path(given.named))
        uid, tokens = _told(path)
        file = GivenFile(
            given=given,
            name=path.name,
            size=path.stat().st_size,
            created=path.stat().st_mtime,
            sha256=_sum(path),
            cluster_uid=uid,
            token_hashes=tokens,
        )
        _hold_against_sums(folder, file)
        return GivenSnapshot(path, file, _tokens(folder))
    except OSError as problem:
        why = problem.strerror or str(problem)
        raise ProductError(f"{given}: cannot be read ({why})", hint=_ANOTHER) from problem
    except UnicodeDecodeError as problem:
        told = f"{given}: a file beside it is no text: it is damaged"
        raise ProductError(told, hint=_ANOTHER) from problem


def _located(given: Path) -> tuple[Path, Path]:
    """Return the file, and the folder that may be a backup."""
    if not given.is_dir():
        return given, given.parent
    try:
        named = Document.parsed((given / _IDENTITY).read_bytes()).text("snapshot")
        return given / Path(named).name, given
    except (OSError, Malformed) as problem:
        raise ProductError(
            f"{Restore(str(given))}: that folder is no backup: {_IDENTITY} is missing or cannot be read",
            hint="Give a folder that `hetzner-k3s backup` wrote, or the snapshot file itself.",
        ) from problem


def _told(path: Path) -> tuple[str | None, tuple[str, ...]]:
    """Read the UID and the sealing tokens' hashes out of a snapshot; nothing where it is damaged or something else."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            return _told_by(file)
    try:
        with zipfile.ZipFile(path) as archive, tempfile.TemporaryFile() as unpacked:
            with archive.open(archive.namelist()[0]) as packed:
                while piece := packed.read(_PIECE):
                    unpacked.write(piece)
                    if unpacked.tell() > _UNPACKED_BYTES:
                        return None, ()
            return _told_by(unpacked)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, IndexError, RuntimeError, ValueError):
        return None, ()
    except OSError as problem:
        if problem.errno != errno.EINVAL:  # a table of contents that points before the file's beginning
            raise
        return None, ()


def _told_by(file: IO[bytes]) -> tuple[str | None, tuple[str, ...]]:
    if file.seek(0, 2) <= _CHECKSUM:
        return None, ()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        text = memoryview(content)[:-_CHECKSUM]
        try:
            if hashlib.sha256(text).digest() != content[-_CHECKSUM:]:
                return None, ()
        finally:
            text.release()
        at = content.find(_NAMESPACE)
        found = _UUID.search(content[at : at + _NEAR]) if at >= 0 else None
        tokens = sorted({match[1].decode() for match in _SEALED.finditer(content)})
    return (found[0].decode() if found else None), tuple(tokens)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hold_against_sums(folder: Path, file: GivenFile) -> None:
    if not (folder / SUMS).is_file():
        return
    lines = (line.partition("  ") for line in (folder / SUMS).read_text(encoding="utf-8").splitlines())
    wanted = {name: digest for digest, _, name in lines}
    if wanted.get(file.name, file.sha256) != file.sha256:
        told = f"{file.given}: the snapshot is not as it was written ({SUMS}): it is damaged"
        raise ProductError(told, hint=_ANOTHER)


def _tokens(folder: Path) -> tuple[Secret, ...]:
    """Read the tokens of a backup; files of those names elsewhere are none."""
    if not (folder / _IDENTITY).is_file():
        return ()
    files = (folder / name for name in ("token", "agent-token"))
    return tuple(Secret(file.read_text(encoding="utf-8").strip()) for file in files if file.is_file())
