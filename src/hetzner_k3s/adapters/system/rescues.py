"""Copies of hosts' data on the operator's machine: unpacked, verified, readable by their owner alone.

Each lies in a folder of its own, `<UTC time>-<server>`, with `rescue.json` that says whose it is. A folder appears
under its name only when everything in it was checked and is on the disk.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from hetzner_k3s.adapters.system.arriving import Arriving
from hetzner_k3s.adapters.system.files import make_private, write_private
from hetzner_k3s.adapters.system.ustar import Limits, UnusableArchive, unpack
from hetzner_k3s.model.errors import DamagedRescue
from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.state import Rescue
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import printable

_NOTE: Final = "rescue.json"
_SUMS: Final = "SHA256SUMS"
_PARTS: Final = ("db/etcd", "tls", "cred", "token")
_LIMITS: Final = Limits(roots=frozenset({_SUMS, *_PARTS}), file=8 << 30, whole=16 << 30, files=10_000)
"""etcd keeps at most 8 GiB; a real archive holds some forty files."""
_SUMS_BYTES: Final = 4 << 20
_AGAIN: Final = (
    "Nothing of it was kept. Run the command again; if it says the same, the host sends something else than its data, "
    "and it should be looked at before anything is reset from it."
)
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9-]")


def found(folder: Path) -> tuple[Rescue, ...]:
    """Return the copies that lie in a folder; one whose note cannot be read is none."""
    return tuple(rescue for note in sorted(folder.glob(f"*/{_NOTE}")) if (rescue := _read(note)) is not None)


def _read(note: Path) -> Rescue | None:
    try:
        document = Document.parsed(note.read_bytes())
        log = LogPosition(document.whole("term"), document.whole("index"))
        return Rescue(server_id=document.whole("server_id"), server=document.text("server"), log=log)
    except (OSError, Malformed):
        return None


async def keep(folder: Path, rescue: Rescue, archive: AsyncIterator[bytes], now: float) -> Path:
    """Unpack an archive below `folder` while it arrives, and check it; `now` is UNIX seconds.

    Raises:
        DamagedRescue: it is not whole.
    """
    name = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{_NOT_IN_A_NAME.sub('_', rescue.server)}"
    part = folder / f".{name}.part"
    make_private(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    try:
        async with Arriving(archive) as packed:
            await packed.read_by(lambda: _unpack(packed, part, rescue.server))
        note = {"server_id": rescue.server_id, "server": rescue.server, **_position(rescue.log)}
        write_private(part / _NOTE, json.dumps(note) + "\n")
        return part.rename(folder / name)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def _position(log: LogPosition) -> dict[str, int]:
    return {"term": log.term, "index": log.index}


def _made_private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _unpack(packed: io.RawIOBase, into: Path, server: str) -> None:
    """Unpack what arrives and hold every file against its checksum.

    It is refused at the first member that is wrong, however much the host would send.
    """
    try:
        unpack(io.BufferedReader(packed), _LIMITS, lambda path: _made_below(into, path))
        _check(into)
    except (UnusableArchive, OSError) as problem:
        raise DamagedRescue(f"{server}: the copy of its data is not whole: {problem}", hint=_AGAIN) from problem


def _made_below(folder: Path, path: PurePosixPath) -> BinaryIO:
    """Make a new file and the folders that it lies in; one that is there already is an error."""
    make_private((folder / path).parent)
    return _made_private(folder / path)


def _check(folder: Path) -> None:
    """Hold every file against its checksum; one without is as wrong as one that differs."""
    wanted = _sums(folder / _SUMS)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {_SUMS}
    for name in sorted(there | wanted.keys()):
        if not _is_as(folder / name, wanted.get(name)):
            raise UnusableArchive(f"{printable(name)} is not what its checksum says")


def _sums(file: Path) -> dict[str, str]:
    text = ""
    if file.is_file() and file.stat().st_size <= _SUMS_BYTES:
        text = file.read_text(encoding="utf-8", errors="replace")
    lines = (line.partition("  ") for line in text.splitlines())
    sums = {name: digest for digest, _, name in lines}
    if not sums:
        raise UnusableArchive("it came without checksums")
    if any(PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts for name in sums):
        raise UnusableArchive("it came with a checksum of a file elsewhere")
    return sums


def _is_as(path: Path, wanted: str | None) -> bool:
    if wanted is None or not path.is_file():
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest == wanted
