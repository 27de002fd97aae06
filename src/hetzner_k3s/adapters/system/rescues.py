"""Copies of hosts' data on the operator's machine: unpacked, verified, readable by their owner alone.

Each lies in a folder of its own, `<UTC time>-<server>`, with `rescue.json` that says whose it is. A folder appears
under its name only when everything in it was checked and is on the disk.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final

from hetzner_k3s.adapters.system.files import make_private, write_private
from hetzner_k3s.model.errors import DamagedRescue
from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.state import Rescue

_NOTE: Final = "rescue.json"
_SUMS: Final = "SHA256SUMS"


def found(folder: Path) -> tuple[Rescue, ...]:
    """Give the copies that lie in a folder; one whose note cannot be read is none."""
    return tuple(rescue for note in sorted(folder.glob(f"*/{_NOTE}")) if (rescue := _read(note)) is not None)


def _read(note: Path) -> Rescue | None:
    try:
        document = json.loads(note.read_text(encoding="utf-8"))
        log = LogPosition(int(document["term"]), int(document["index"]))
        return Rescue(server_id=int(document["server_id"]), server=str(document["server"]), log=log)
    except (OSError, ValueError, KeyError, TypeError):
        return None


async def keep(folder: Path, rescue: Rescue, archive: AsyncIterator[bytes], now: float) -> Path:
    """Unpack and check an archive below `folder`; `now` is UNIX seconds.

    Raises:
        DamagedRescue: it is not whole.
    """
    name = f"{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}-{rescue.server}"
    part = folder / f".{name}.part"
    make_private(folder)
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)
    try:
        packed = part / "archive.tar.gz"
        with _made_private(packed) as file:
            async for piece in archive:
                file.write(piece)
        await asyncio.to_thread(_unpack, packed, part)
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


def _unpack(packed: Path, into: Path) -> None:
    """Unpack an archive beside itself, remove it, and hold every file against its checksum."""
    try:
        with tarfile.open(packed, "r:gz") as archive:
            archive.extractall(into, filter="data")
    except (tarfile.TarError, EOFError, OSError) as problem:
        raise DamagedRescue(f"the copy of the data is damaged: {problem}", hint="Run the command again.") from problem
    packed.unlink()
    for path in into.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    _check(into)


def _check(folder: Path) -> None:
    lines = (folder / _SUMS).read_text(encoding="utf-8").splitlines() if (folder / _SUMS).is_file() else []
    if not lines:
        raise DamagedRescue("the copy of the data came without checksums", hint="Run the command again.")
    for line in lines:
        wanted, _, name = line.partition("  ")
        if not _is_as(folder / name, wanted):
            raise DamagedRescue(f"the copy of {name} is not what the host sent", hint="Run the command again.")


def _is_as(path: Path, wanted: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        os.fsync(file.fileno())
    return digest == wanted
