"""Reads the answer of `scripts/read_log.sh`: the last files of etcd's log, packed."""

from __future__ import annotations

import base64
import gzip
import io
import zlib
from typing import Final

from hetzner_k3s.hosts.wal import UnreadableLog, last_position
from hetzner_k3s.model.host import LogPosition
from hetzner_k3s.model.text.documents import Document

_SEGMENTS: Final = 2
_SEGMENT: Final = 80 * (1 << 20)
"""Bytes of a segment: etcd begins the next one at 64 MB, after the entry that went beyond."""


def log_position(answer: object) -> LogPosition | None:
    """Return how far the log goes; see `last_position`.

    Raises:
        Malformed: the answer is not what the script prints.
        UnreadableLog: what it holds is no log of etcd.
    """
    segments = Document.of(answer).texts("segments")
    if len(segments) > _SEGMENTS:
        raise UnreadableLog(f"more than the {_SEGMENTS} segments that were asked for")
    return last_position([_unpacked(segment) for segment in segments])


def _unpacked(segment: str) -> bytes:
    try:
        packed = base64.b64decode(segment, validate=True)
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as file:
            content = file.read(_SEGMENT + 1)
    except (EOFError, OSError, ValueError, zlib.error):
        raise UnreadableLog("a segment that was not packed as it should be") from None
    if len(content) > _SEGMENT:
        raise UnreadableLog("a segment that is larger than etcd makes them")
    return content
