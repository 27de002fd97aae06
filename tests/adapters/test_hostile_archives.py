"""A host that was broken into sends an archive of its own making: it is refused, and nothing else here moves."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetzner_k3s.adapters.system import rescues
from hetzner_k3s.adapters.system.ustar import Limits, UnusableArchive, unpack
from hetzner_k3s.model.errors import DamagedRescue
from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.state import Rescue

RESCUE = Rescue(server_id=7, server="prod-master2", log=LogPosition(5, 900))
TOKEN = b"K10abc::server:pw"
SUMS = f"{hashlib.sha256(TOKEN).hexdigest()}  token\n".encode()


def entry(name: str, content: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    made = tarfile.TarInfo(name)
    made.size = len(content)
    for field, value in fields.items():
        setattr(made, field, value)
    return made, content


def archive(*entries: tuple[tarfile.TarInfo, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """Pack the right files, and more."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=form) as tar:
        for made, content in (entry("SHA256SUMS", SUMS), entry("token", TOKEN), *entries):
            tar.addfile(made, io.BytesIO(content))
    return out.getvalue()


def checksum_of(content: bytes) -> bytes:
    """Return the field of the first header that says its checksum."""
    return b"%06o\0 " % (sum(content[:148]) + 8 * ord(" ") + sum(content[156:512]))


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    yield content


def keep(folder: Path, content: bytes) -> Path:
    return asyncio.run(rescues.keep(folder, RESCUE, pieces(content), 1_800_000_000.0))


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    return entry(name, type=kind, linkname=target)


LONG = "db/etcd/" + "/".join(["d" * 90] * 20)
HOSTILE: dict[str, bytes] = {
    "a chain of links out of the folder": archive(
        link("db/etcd/a", "../../.."), link("db/etcd/b", "a/.."), entry("db/etcd/b/.bashrc", b"evil")
    ),
    "a symbolic link": archive(link("tls/x", "/etc/passwd")),
    "a hard link": archive(link("tls/x", "token", tarfile.LNKTYPE)),
    "a device": archive(entry("tls/x", type=tarfile.CHRTYPE, devmajor=1, devminor=3)),
    "a pipe": archive(entry("tls/x", type=tarfile.FIFOTYPE)),
    "an absolute name": archive(entry("/etc/cron.d/x", b"evil")),
    "a name that leads upwards": archive(entry("tls/../../.bashrc", b"evil")),
    "a name that was not asked for": archive(entry(".bashrc", b"evil")),
    "our own note": archive(entry("rescue.json", b"{}")),
    "the archive itself": archive(entry("archive.tar.gz", b"x")),
    "a file twice": archive(entry("token", b"another")),
    "a file in a file": archive(entry("token/x", b"y")),
    "a name of escapes": archive(entry("tls/\x1b[2J", b"x")),
    "a name with a backslash": archive(entry("tls/a\\b", b"x")),
    "a name that is no ASCII": archive(entry("tls/ü", b"x")),
    "a long name": archive(entry(LONG, b"x")),
    "an extension": archive(entry("tls/x", b"y", pax_headers={"path": "../../x"}), form=tarfile.PAX_FORMAT),
    "a sparse file": archive(entry("tls/x", b"y" * 512, type=tarfile.GNUTYPE_SPARSE)),
    "a size that is not there": archive(entry("tls/x", b""))[:-30],
    "too large a file": gzip.compress(entry("tls/x", size=(8 << 30) - 1)[0].tobuf(tarfile.USTAR_FORMAT)),
    "a file without a checksum": archive(entry("tls/x", b"unlisted")),
    "a header with a wrong digit": gzip.compress(
        (raw := gzip.decompress(archive(entry("tls/x", b"x"))))[:150] + b"9" + raw[151:]
    ),
    "a header with another checksum": gzip.compress(
        (right := gzip.decompress(archive()))[:148] + b"000001" + right[154:]
    ),
    "a header of another form": gzip.compress(
        (other := right[:257] + b"other" + right[262:])[:148] + checksum_of(other) + other[156:]
    ),
    "something behind it": archive(entry("tls/x", b"x")) + b"more",
    "something packed behind it": gzip.compress(gzip.decompress(archive(entry("tls/x", b"x"))) + b"more"),
    "many zeros behind it": gzip.compress(gzip.decompress(archive(entry("tls/x", b"x"))) + bytes(20_480)),
    "nothing": gzip.compress(b""),
    "no gzip": b"\x1f\x8b" + b"\0" * 40,
    "blocks of nothing": gzip.compress(b"\xff" * 5120),
}


def everything(folder: Path) -> dict[str, bytes | None]:
    return {str(p): p.read_bytes() if p.is_file() else None for p in folder.rglob("*")}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_archive_is_refused_and_nothing_else_moves(tmp_path: Path, content: bytes) -> None:
    """Seen: a chain of links made `--reset-quorum-from` overwrite the operator's ~/.bashrc."""
    (tmp_path / ".bashrc").write_text("mine")
    (tmp_path / "state" / "rescue").mkdir(parents=True)
    before = everything(tmp_path)
    with pytest.raises(DamagedRescue):
        keep(tmp_path / "state" / "rescue", content)
    assert everything(tmp_path) == before


def test_the_right_archive_is_kept_even_with_folders_in_it(tmp_path: Path) -> None:
    place = keep(tmp_path, archive(entry("db/etcd", type=tarfile.DIRTYPE)))
    assert (place / "token").read_bytes() == TOKEN


def test_a_checksum_of_a_file_elsewhere_reads_nothing_there(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        made, text = entry("SHA256SUMS", b"00  ../secret\n")
        tar.addfile(made, io.BytesIO(text))
    with pytest.raises(DamagedRescue, match="elsewhere"):
        keep(tmp_path / "rescue", content.getvalue())


@given(content=st.one_of(st.binary(max_size=3000), st.binary(max_size=3000).map(gzip.compress)))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_kept_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with pytest.raises(DamagedRescue):
        keep(tmp_path_factory.mktemp("any"), content)


RIGHT = gzip.decompress(archive(entry("db/etcd/member/snap/db", b"data" * 300)))


@given(at=st.integers(0, len(RIGHT) - 1), byte=st.integers(0, 255))
@settings(max_examples=150, deadline=None)
def test_one_byte_that_is_wrong_makes_no_other_file(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    folder = tmp_path_factory.mktemp("one")
    changed = gzip.compress(RIGHT[:at] + bytes([byte]) + RIGHT[at + 1 :], compresslevel=1)
    try:
        place = keep(folder / "rescue", changed)
    except DamagedRescue:
        assert everything(folder / "rescue") == {}
    else:
        assert (place / "token").read_bytes() == TOKEN
    assert {p.name for p in folder.iterdir()} == {"rescue"}


LIMITS = Limits(roots=frozenset({"tls"}), file=100, whole=150, files=3)


def _in_memory(kept: dict[str, io.BytesIO]) -> Callable[[PurePosixPath], BinaryIO]:
    def create(path: PurePosixPath) -> BinaryIO:
        return kept.setdefault(str(path), io.BytesIO())

    return create


def _archive(sizes: list[int]) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for number, size in enumerate(sizes):
            made, content = entry(f"tls/{number}", b"x" * size)
            tar.addfile(made, io.BytesIO(content))
    return io.BytesIO(out.getvalue())


@pytest.mark.parametrize("sizes", [[101], [80, 80], [1, 1, 1, 1]], ids=["a file", "all", "how many"])
def test_each_cap_holds(sizes: list[int]) -> None:
    with pytest.raises(UnusableArchive, match="more than a database"):
        unpack(_archive(sizes), LIMITS, _in_memory({}))


@pytest.mark.parametrize("sizes", [[100], [75, 75], [1, 1, 1]], ids=["a file", "all", "how many"])
def test_what_is_as_large_as_a_cap_is_taken(sizes: list[int]) -> None:
    kept: dict[str, io.BytesIO] = {}
    unpack(_archive(sizes), LIMITS, _in_memory(kept))
    assert len(kept) == len(sizes)
