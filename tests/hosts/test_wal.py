"""The reader of etcd's write-ahead log, on bytes that etcd wrote and on bytes that were built by hand."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import google_crc32c
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetzner_k3s.hosts.log_answer import log_position
from hetzner_k3s.hosts.wal import UnreadableLog, last_position
from hetzner_k3s.model.host import LogPosition

RECORDED = Path(__file__).parent / "recorded" / "etcd-3.5.16-five-puts.wal"
"""Written by etcd 3.5.16 that took five puts; its own status said raftTerm 2, raftIndex 9. Trailing zeros are cut.

See docs/facts/recordings.md#others.
"""

Entry = tuple[int, int]


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def entry(term: int, index: int, data: bytes = b"x") -> bytes:
    return b"\x08\x00\x10" + varint(term) + b"\x18" + varint(index) + b"\x22" + varint(len(data)) + data


def snapshot(index: int, term: int) -> bytes:
    return b"\x08" + varint(index) + b"\x10" + varint(term)


def segment(records: Sequence[tuple[int, bytes]], start: int = 0, room: int = 64) -> bytes:
    """Build a segment as etcd's encoder does: the checksum record first, then these (type, data)."""
    out, crc = b"", start
    for kind, data in [(4, b""), *records]:
        crc = google_crc32c.extend(crc, data) if kind != 4 else crc
        out += frame(b"\x08" + varint(kind) + b"\x10" + varint(crc) + b"\x1a" + varint(len(data)) + data)
    return out + bytes(room)


def frame(record: bytes) -> bytes:
    padding = (8 - len(record) % 8) % 8
    length = len(record) | ((0x80 | padding) << 56 if padding else 0)
    return length.to_bytes(8, "little") + record + bytes(padding)


def entries(*found: Entry) -> list[tuple[int, bytes]]:
    return [(2, entry(term, index)) for term, index in found]


def test_what_etcd_wrote_is_read_as_etcd_told_it() -> None:
    assert last_position([RECORDED.read_bytes()]) == LogPosition(term=2, index=9)


def test_a_checksum_beyond_32_bits_is_cut_as_etcd_cuts_it() -> None:
    """Its field is a uint32: Go's decoder drops what does not fit."""
    wide = frame(b"\x08\x04\x10" + varint(7 << 32 | 9))
    (_, record), *_ = entries((1, 1))
    entered = (
        b"\x08\x02\x10" + varint(7 << 32 | google_crc32c.extend(9, record)) + b"\x1a" + varint(len(record)) + record
    )
    assert last_position([wide + frame(entered) + bytes(64)]) == LogPosition(1, 1)


@pytest.mark.parametrize(
    ("records", "position"),
    [
        ([], None),
        ([(1, b"\x08\x01"), (3, b"\x08\x01")], None),
        (entries((1, 1), (1, 2)), (1, 2)),
        (entries((1, 1), (1, 2), (1, 3), (2, 2)), (2, 2)),
        ([(5, snapshot(0, 0)), *entries((3, 1))], (3, 1)),
        ([*entries((1, 5)), (5, snapshot(3, 1))], (1, 5)),
        ([*entries((1, 5)), (5, snapshot(50, 4))], (4, 50)),
        ([(5, snapshot(50, 4)), *entries((4, 51))], (4, 51)),
    ],
    ids=[
        "nothing but its head",
        "metadata and state alone",
        "entries",
        "a log that was cut back and went on",
        "the snapshot of a birth",
        "a snapshot of what the log holds",
        "a snapshot that a leader sent",
        "an entry behind a snapshot",
    ],
)
def test_the_last_record_counts(records: list[tuple[int, bytes]], position: Entry | None) -> None:
    assert last_position([segment(records)]) == (LogPosition(*position) if position else None)


def test_a_new_segment_without_an_entry_leaves_the_word_to_the_one_before() -> None:
    older = segment(entries((1, 1), (1, 2)))
    newer = segment([(1, b"\x08\x01")], start=77)
    assert last_position([older, newer]) == LogPosition(1, 2)
    assert last_position([newer]) is None


def test_a_segment_that_begins_elsewhere_is_no_log() -> None:
    with pytest.raises(UnreadableLog):
        last_position([segment(entries((1, 1)))[16:]])


def test_a_damaged_record_in_the_middle_is_not_passed_over() -> None:
    whole = segment(entries((1, 1), (1, 2), (1, 3)))
    at = whole.index(entry(1, 2))
    with pytest.raises(UnreadableLog):
        last_position([whole[: at + 8] + b"y" + whole[at + 9 :]])


def test_a_field_that_etcd_does_not_write_is_no_log() -> None:
    fixed64 = b"\x09" + bytes(8)
    with pytest.raises(UnreadableLog, match="a kind that etcd does not write"):
        last_position([segment([(2, fixed64), *entries((1, 2))])])


def test_a_number_without_an_end_is_no_log() -> None:
    with pytest.raises(UnreadableLog, match="a number that does not end"):
        last_position([segment([(2, b"\x08\x80"), *entries((1, 2))])])


def test_more_segments_than_were_asked_for_are_no_answer() -> None:
    packed = base64.b64encode(gzip.compress(segment(entries((1, 1))))).decode()
    assert log_position({"segments": [packed] * 2}) == LogPosition(1, 1)
    with pytest.raises(UnreadableLog, match="more than the 2 segments"):
        log_position({"segments": [packed] * 3})


@settings(deadline=None)  # two cores are shared: a slow example says nothing about the reader
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 10**12)), min_size=1, max_size=20), st.data())
def test_a_log_that_was_torn_anywhere_ends_at_a_record_that_was_whole(found: list[Entry], data: st.DataObject) -> None:
    whole = segment(entries(*found), room=0)
    cut = data.draw(st.integers(0, len(whole)))
    torn = whole[:cut] + bytes(len(whole) - cut)
    position = last_position([torn])
    assert position is None or (position.term, position.index) in found
    assert last_position([whole[:cut]]) is None or cut > len(segment([], room=0))
    assert last_position([whole]) == LogPosition(*found[-1])


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(noise: bytes) -> None:
    try:
        last_position([noise])
    except UnreadableLog:
        return


def _etcd() -> str | None:
    images = sorted((Path.home() / ".cache" / "hetzner-k3s" / "lab").glob("*/usr/bin/etcd"))
    return shutil.which("etcd") or (str(images[0]) if images else None)


@pytest.mark.skipif(_etcd() is None, reason="no etcd on this machine")
def test_a_running_etcd_and_its_log_agree(tmp_path: Path) -> None:
    client, peer = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
    command = [str(_etcd()), "--data-dir", str(tmp_path / "d"), "--log-level", "error"]
    command += ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
    command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for number in range(40):
            _ask(client, "kv/put", {"key": "a2V5", "value": "dmFs" * (number * 40)})
        told = _ask(client, "maintenance/status", {})
    finally:
        process.kill()
        process.wait()
    logs = sorted((tmp_path / "d" / "member" / "wal").glob("*.wal"))
    assert last_position([log.read_bytes() for log in logs]) == LogPosition(
        int(told["raftTerm"]), int(told["raftIndex"])
    )


def _free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on: the same test may run beside this one, on another Python."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _ask(client: str, path: str, body: dict[str, str]) -> dict[str, str]:
    request = urllib.request.Request(f"{client}/v3/{path}", json.dumps(body).encode())
    for _ in range(100):
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                found: dict[str, str] = json.load(answer)
                return found
        except OSError:
            time.sleep(0.1)
    raise AssertionError("etcd does not answer")
