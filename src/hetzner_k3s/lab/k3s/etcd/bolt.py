"""Read the keys of a stopped etcd member from its bbolt file, as k3s does before it starts etcd.

Formats: bbolt's pages (little endian, B+ tree of branch and leaf pages, inline buckets) and etcd's `key` bucket, whose
values are protobuf messages mvccpb.KeyValue (key = 1, mod_revision = 3, value = 5) under 17-byte revision keys.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from hetzner_k3s.lab.k3s.etcd import wire

_PAGE = struct.Struct("<QHHI")
_BRANCH_ELEMENT = struct.Struct("<IIQ")
_LEAF_ELEMENT = struct.Struct("<IIII")
_META = struct.Struct("<IIIIQQQQQQ")
_MAGIC = 0xED0CDAED
_BRANCH, _LEAF = 0x01, 0x02
_BUCKET = 0x01
_REVISION_BYTES = 17


class NotBolt(ValueError):
    """The file is no bbolt database."""


class _Database:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._size, self.root = self._newest_meta()

    def _newest_meta(self) -> tuple[int, int]:
        found: list[tuple[int, int, int]] = []
        size = 4096
        for number in (0, 1):
            magic, _, page_size, _, root, _, _, _, transaction, _ = _META.unpack_from(
                self._data, number * size + _PAGE.size
            )
            if magic == _MAGIC:
                size = page_size
                found.append((transaction, page_size, root))
        if not found:
            raise NotBolt("no valid meta page")
        _, size, root = max(found)
        return size, root

    def page(self, number: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield (flags, key, value) of a page and of all below it."""
        yield from self._elements(number * self._size)

    def _elements(self, start: int) -> Iterator[tuple[int, bytes, bytes]]:
        _, kind, count, _ = _PAGE.unpack_from(self._data, start)
        base = start + _PAGE.size
        for index in range(count):
            if kind & _BRANCH:
                _, _, child = _BRANCH_ELEMENT.unpack_from(self._data, base + index * _BRANCH_ELEMENT.size)
                yield from self.page(child)
            elif kind & _LEAF:
                at = base + index * _LEAF_ELEMENT.size
                flags, position, key_size, value_size = _LEAF_ELEMENT.unpack_from(self._data, at)
                key_at = at + position
                value_at = key_at + key_size
                yield flags, self._data[key_at:value_at], self._data[value_at : value_at + value_size]

    def bucket(self, name: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the pairs of a top-level bucket."""
        for flags, key, value in self.page(self.root):
            if flags & _BUCKET and key == name:
                yield from self._bucket_pairs(value)

    def _bucket_pairs(self, header: bytes) -> Iterator[tuple[bytes, bytes]]:
        root, _ = struct.unpack_from("<QQ", header)
        if root:
            yield from ((key, value) for _, key, value in self.page(root))
            return
        _, _, count, _ = _PAGE.unpack_from(header, 16)
        for index in range(count):
            at = 16 + _PAGE.size + index * _LEAF_ELEMENT.size
            _, position, key_size, value_size = _LEAF_ELEMENT.unpack_from(header, at)
            key_at = at + position
            yield header[key_at : key_at + key_size], header[key_at + key_size : key_at + key_size + value_size]


def keys(path: Path, prefix: str) -> dict[str, bytes]:
    """Read the newest value of every live key with a prefix.

    Raises:
        NotBolt: the file is something else.
    """
    wanted = prefix.encode()
    found: dict[str, bytes] = {}
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for revision, message in _Database(data).bucket(b"key"):
            if wanted not in message:
                continue
            key, value = _key_value(message)
            if not key.startswith(wanted):
                continue
            if len(revision) > _REVISION_BYTES:  # a tombstone carries one more byte
                found.pop(key.decode(), None)
            else:
                found[key.decode()] = value
    return found


def has_consistent_index(path: Path) -> bool:
    """Check whether etcd ever committed how far this backend goes: the bucket `meta` says so.

    Raises:
        NotBolt: the file is something else.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return any(key == b"consistent_index" for key, _ in _Database(data).bucket(b"meta"))


def _key_value(message: bytes) -> tuple[bytes, bytes]:
    parts = {number: value for number, value in wire.fields(message) if isinstance(value, bytes)}
    return parts.get(1, b""), parts.get(5, b"")
