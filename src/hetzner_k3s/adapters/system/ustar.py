"""Reads the tar archive that a host sends, member by member: regular files in the plain `ustar` form, nothing else.

A host that was broken into sends what it likes. Links led `extractall(filter="data")` out of its folder (seen with
Python 3.11.7), Debian 12's Python 3.11.2 has no filters at all, and its `tarfile` can be made to read for ever. So this
takes only what `fetch_database.sh` makes: no links, no devices, no extensions, each file with a cap.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import PurePosixPath
from typing import BinaryIO, Final

_BLOCK: Final = 512
_PIECE: Final = 1 << 18
_REGULAR: Final = (b"0", b"\0")
_FOLDER: Final = b"5"
_NAME_BYTES: Final = 100
_DEPTH: Final = 8
_PADDING: Final = 20 * _BLOCK
"""tar fills its last record of twenty blocks up with nothing."""


class UnusableArchive(ValueError):
    """What came is not an archive as it was asked for."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an archive may hold: files of these roots, each of at most so many bytes, and so many bytes and files."""

    roots: frozenset[str]
    file: int
    whole: int
    files: int


@dataclass(frozen=True, slots=True)
class _Member:
    """A member's header."""

    name: str
    kind: bytes
    size: int


class _Inflated:
    """Reads what is packed in gzip's form; Python's own reader would skip zeros behind it for ever."""

    def __init__(self, packed: BufferedIOBase) -> None:
        self._packed = packed
        self._inflate = zlib.decompressobj(wbits=31)  # with gzip's header and its checksum at the end

    def read(self, size: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        pieces: list[bytes] = []
        while size and not self._inflate.eof:
            packed = self._inflate.unconsumed_tail or self._packed.read1(_PIECE)
            if not packed:
                raise UnusableArchive("it ends too early")
            pieces.append(self._inflate.decompress(packed, size))
            size -= len(pieces[-1])
        return b"".join(pieces)

    def is_at_end(self) -> bool:
        """Check whether nothing comes any more, packed or not."""
        return not (self.read(1) or self._inflate.unused_data or self._packed.read1(1))


def unpack(packed: BufferedIOBase, limits: Limits, create: Callable[[PurePosixPath], BinaryIO]) -> None:
    """Unpack a gzip-compressed archive, reading no further than the first thing that is wrong with it.

    Args:
        packed: its bytes.
        limits: what it may hold.
        create: opens the new file of a name that was found good.

    Raises:
        UnusableArchive: it is damaged, or holds anything but what it may.
    """
    try:
        stream = _Inflated(packed)
        _unpack(stream, limits, create)
        _demand_end(stream)
    except zlib.error as problem:
        raise UnusableArchive(f"it cannot be unpacked: {problem}") from None


def _unpack(stream: _Inflated, limits: Limits, create: Callable[[PurePosixPath], BinaryIO]) -> None:
    left, files = limits.whole, 0
    for member in _members(stream):
        path = _path(member.name, limits.roots)
        if member.kind == _FOLDER:
            continue  # made where a file lies in it
        if member.kind not in _REGULAR:
            raise UnusableArchive(f"{path} is no regular file")
        left, files = left - member.size, files + 1
        if member.size > limits.file or left < 0 or files > limits.files:
            raise UnusableArchive(f"it holds more than a database: {path} goes beyond {limits.file >> 30} GiB in all")
        with create(path) as file:
            _copy(stream, file, member)


def _members(stream: _Inflated) -> Iterator[_Member]:
    """Read headers until the empty block that ends an archive; whoever takes one reads its content off the stream."""
    while True:
        block = _exactly(stream, _BLOCK)
        if block == bytes(_BLOCK):
            return
        yield _header(block)


def _header(block: bytes) -> _Member:
    name, prefix = _text(block[:_NAME_BYTES]), _text(block[345:500])
    if block[257:262] != b"ustar" or _octal(block[148:156]) != _checksum(block):
        raise UnusableArchive("a header in it is none")
    size = _octal(block[124:136])
    return _Member(f"{prefix}/{name}" if prefix else name, block[156:157], size)


def _checksum(block: bytes) -> int:
    return sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _text(raw: bytes) -> str:
    try:
        return raw.partition(b"\0")[0].decode("ascii")
    except UnicodeDecodeError:
        raise UnusableArchive("a name in it is not plain") from None


def _octal(raw: bytes) -> int:
    digits = raw.strip(b" \0")
    if not digits.isdigit() or b"8" in digits or b"9" in digits:
        raise UnusableArchive("a header in it is none")
    return int(digits, 8)


def _path(name: str, roots: frozenset[str]) -> PurePosixPath:
    """Return the name of a member as a path below the folder that it is unpacked into."""
    parts = name.rstrip("/").split("/")
    plain = name.isprintable() and "\\" not in name and not any(part in ("", ".", "..") for part in parts)
    known = any(name == root or name.startswith(f"{root}/") for root in roots)
    if not (plain and known and len(parts) <= _DEPTH):
        raise UnusableArchive("it holds a file that was not asked for")
    return PurePosixPath(*parts)


def _copy(stream: _Inflated, file: BinaryIO, member: _Member) -> None:
    left = member.size
    while left:
        piece = _exactly(stream, min(left, _PIECE))
        file.write(piece)
        left -= len(piece)
    _exactly(stream, -member.size % _BLOCK)


def _demand_end(stream: _Inflated) -> None:
    """Read what fills an archive up, and with it the checksum of all that was unpacked."""
    if stream.read(_PADDING).strip(b"\0") or not stream.is_at_end():
        raise UnusableArchive("it goes on after its end")


def _exactly(stream: _Inflated, size: int) -> bytes:
    piece = stream.read(size)
    if len(piece) != size:
        raise UnusableArchive("it ends too early")
    return piece
