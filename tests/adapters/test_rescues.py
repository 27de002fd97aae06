"""Copies of hosts' data: whole and verified, or not there at all."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hetzner_k3s.adapters.system import rescues
from hetzner_k3s.model.errors import DamagedRescue, Fate, OperationFailed
from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.state import Rescue

RESCUE = Rescue(server_id=7, server="prod-master2", log=LogPosition(5, 900))
FILES = {"db/etcd/member/wal/0.wal": b"log" * 9000, "token": b"K10abc::server:pw"}
NOW = 1_800_000_000.0


def archive(files: dict[str, bytes], sums: dict[str, bytes] | None = None) -> bytes:
    out = io.BytesIO()
    listed = "".join(f"{hashlib.sha256(v).hexdigest()}  {k}\n" for k, v in (files if sums is None else sums).items())
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in {"SHA256SUMS": listed.encode(), **files}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


async def pieces(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


def keep(folder: Path, content: bytes) -> Path:
    return asyncio.run(rescues.keep(folder, RESCUE, pieces(content), NOW))


def test_it_is_unpacked_verified_and_private(tmp_path: Path) -> None:
    place = keep(tmp_path / "rescue", archive(FILES))
    assert place.name == "20270115T080000Z-prod-master2"
    assert {name: (place / name).read_bytes() for name in FILES} == FILES
    modes = {oct(p.stat().st_mode & 0o777) for p in place.rglob("*") if p.is_file()}
    assert modes == {"0o600"}
    assert {oct(p.stat().st_mode & 0o777) for p in (place, place.parent, place / "db")} == {"0o700"}
    assert not list(place.glob("*.tar.gz"))
    assert rescues.found(tmp_path / "rescue") == (RESCUE,)


@pytest.mark.parametrize(
    "content",
    [
        archive(FILES)[:-40],
        archive(FILES, {**FILES, "token": b"another"}),
        archive(FILES, {**FILES, "cred/passwd": b"not sent"}),
        archive(FILES, {}),
        b"",
        b"no archive",
    ],
    ids=["cut off", "one file differs", "one file is missing", "no checksums", "nothing", "noise"],
)
def test_what_is_not_whole_leaves_nothing_behind(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(DamagedRescue, match="prod-master2: the copy of its data is not whole"):
        keep(tmp_path, content)
    assert list(tmp_path.iterdir()) == []
    assert rescues.found(tmp_path) == ()


class Sender:
    """Sends an archive, and then goes on for ever; counts what was taken and notes that it was told to stop."""

    def __init__(self, content: bytes, then: bytes) -> None:
        self._content, self._then = content, then
        self.taken, self.stopped = 0, False

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            yield self._content
            while True:
                self.taken += 1
                yield self._then
        finally:
            self.stopped = True


@pytest.mark.parametrize(
    ("content", "then"),
    [(archive(FILES), b"\0"), (archive(FILES), archive(FILES)), (archive({"elsewhere": b"x"}), bytes(1 << 16))],
    ids=["nothing", "another archive", "after a file that was not asked for"],
)
def test_a_host_that_sends_for_ever_is_not_listened_to(tmp_path: Path, content: bytes, then: bytes) -> None:
    """It was all written here, up to 16 GiB, before the first byte was looked at."""
    sender = Sender(content, then)
    with pytest.raises(DamagedRescue):
        asyncio.run(rescues.keep(tmp_path, RESCUE, sender.pieces(), NOW))
    assert sender.taken < 20_000
    assert sender.stopped
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_host_is_told_as_it_is(tmp_path: Path) -> None:
    async def failing() -> AsyncIterator[bytes]:
        yield archive(FILES)[:100]
        raise OperationFailed("x", server="prod-master2", operation="FetchDatabase", fate=Fate.DID_NOT_HAPPEN)

    with pytest.raises(OperationFailed):
        asyncio.run(rescues.keep(tmp_path, RESCUE, failing(), NOW))
    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_is_cancelled_ends_the_host_and_leaves_nothing(tmp_path: Path) -> None:
    waiting, ended = asyncio.Event(), asyncio.Event()

    async def silent() -> AsyncIterator[bytes]:
        yield archive(FILES)[:100]
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    async def cancelled() -> None:
        copying = asyncio.create_task(rescues.keep(tmp_path, RESCUE, silent(), NOW))
        await waiting.wait()
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying

    asyncio.run(cancelled())
    assert ended.is_set()
    assert list(tmp_path.iterdir()) == []


def test_a_second_copy_in_the_same_second_is_refused_rather_than_mixed(tmp_path: Path) -> None:
    keep(tmp_path, archive(FILES))
    with pytest.raises(OSError, match="not empty"):
        keep(tmp_path, archive(FILES))


def test_a_note_that_cannot_be_read_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "rescue.json").write_text("{")
    assert rescues.found(tmp_path) == ()
