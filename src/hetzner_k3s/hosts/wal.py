"""Reads how far an etcd member's log goes out of its write-ahead log (etcd 3.4-3.6, `server/storage/wal`). Pure.

A segment is a row of frames: an 8-byte little-endian length whose lowest 56 bits count the record's bytes and whose top
byte, where its first bit is set, counts in its lowest three bits the padding behind them; then the record, a protobuf
`walpb.Record {1: type, 2: crc, 3: data}`. `crc` is CRC-32C over the data, continued from the record before. A file is
allocated in advance, so a length of zero ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.model.host import LogPosition

_ENTRY: Final = 2
_CRC: Final = 4
_SNAPSHOT: Final = 5
_TYPES: Final = range(1, 6)
_FRAME: Final = 8
_UINT32: Final = 0xFFFFFFFF
_CHECKED: Final = 256 * 1024
"""Bytes at a segment's end whose checksums are verified: a torn write is there; etcd verifies all when it starts."""


class UnreadableLog(ValueError):
    """Bytes that are no write-ahead log, or one that is damaged before its end."""


@dataclass(frozen=True, slots=True)
class _Record:
    """A record, the place where it ends, and its checksum as written."""

    kind: int
    crc: int
    data: bytes
    end: int


def last_position(segments: Iterable[bytes]) -> LogPosition | None:
    """Return the term and index of the last entry that was appended, None where the segments hold none.

    The last record counts, not the greatest: an entry of a smaller index after a larger one says that the log was cut
    back there. A snapshot that lies beyond the last entry was sent by a leader and stands for all before it.

    Args:
        segments: the files of `member/wal`, oldest first, the newest included.

    Raises:
        UnreadableLog: they cannot be read.
    """
    position: LogPosition | None = None
    for record in (record for segment in segments for record in _whole_records(segment)):
        if record.kind == _ENTRY:
            fields = _fields(record.data)
            position = LogPosition(_number(fields.get(2)), _number(fields.get(3)))
        elif record.kind == _SNAPSHOT:
            fields = _fields(record.data)
            index, term = _number(fields.get(1)), _number(fields.get(2))
            if index > (position.index if position else 0):
                position = LogPosition(term, index)
    return position


def _whole_records(segment: bytes) -> list[_Record]:
    """Return a segment's records without a torn one at its end."""
    records = list(_records(segment))
    if records and records[0].kind != _CRC:
        raise UnreadableLog("the segment does not begin with a checksum record")
    first = next((at for at, r in enumerate(records) if records[-1].end - r.end < _CHECKED), 0)
    for at in range(max(first, 1), len(records)):
        if not _follows(records[at - 1], records[at]):
            if at < len(records) - 1:
                raise UnreadableLog(f"the checksum of record {at} of {len(records)} is wrong")
            return records[:at]
    return records


def _follows(before: _Record, record: _Record) -> bool:
    import google_crc32c  # here, for few commands read a log

    return record.kind == _CRC or google_crc32c.extend(before.crc, record.data) == record.crc


def _records(segment: bytes) -> Iterator[_Record]:
    at = 0
    while at + _FRAME <= len(segment):
        length = int.from_bytes(segment[at : at + _FRAME], "little")
        if length == 0:
            return
        size, flags = length & ((1 << 56) - 1), length >> 56
        padding = flags & 0x7 if flags & 0x80 else 0
        begin, end = at + _FRAME, at + _FRAME + size
        if end + padding > len(segment):
            return  # torn: the rest was never written
        record = _record(segment[begin:end], end)
        if record is None:
            return
        yield record
        at = end + padding


def _record(raw: bytes, end: int) -> _Record | None:
    """Read a record; None where the bytes are a torn one's, zeros most often."""
    try:
        fields = _fields(raw)
        kind, crc, data = _number(fields.get(1)), _number(fields.get(2)) & _UINT32, fields.get(3, b"")
    except UnreadableLog:
        return None
    if kind not in _TYPES or not isinstance(data, bytes) or (kind == _ENTRY and not data):
        return None
    return _Record(kind, crc, data, end)


def _number(value: int | bytes | None) -> int:
    if isinstance(value, bytes):
        raise UnreadableLog("text where a number should be")
    return value or 0


def _fields(raw: bytes) -> dict[int, int | bytes]:
    """Read a protobuf message of numbers and byte strings; of a field that is there twice, the last one counts."""
    fields: dict[int, int | bytes] = {}
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        if key >> 3 == 0:
            raise UnreadableLog("a field without a number: zeros where a record was not written to its end")
        match key & 7:
            case 0:
                fields[key >> 3], at = _varint(raw, at)
            case 2:
                size, at = _varint(raw, at)
                if at + size > len(raw):
                    raise UnreadableLog("a field that is longer than its record")
                fields[key >> 3] = raw[at : at + size]
                at += size
            case _:
                raise UnreadableLog("a field of a kind that etcd does not write")
    return fields


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 70:
        byte = raw[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at
    raise UnreadableLog("a number that does not end")
