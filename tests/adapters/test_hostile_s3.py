"""Any bytes that an S3 service sends become a typed value or a typed error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adapters.answering import Answer, Answering, answering
from tests.hosts.outside import INSTANCES, assert_typed

from hetzner_k3s.adapters import s3, s3_pool
from hetzner_k3s.adapters.s3 import S3Objects
from hetzner_k3s.model.errors import StorageError
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.snapshots import StoredSnapshot
from hetzner_k3s.model.spec import S3Spec

pytestmark = pytest.mark.usefixtures("no_collection")

FEW = settings(max_examples=40, deadline=None)
HIDDEN = "the-secret-key-of-s3"
XML = {"Content-Type": "application/xml"}


@pytest.fixture(scope="module")
def store() -> Iterator[Answering]:
    with answering() as store:
        yield store


def bucket(port: int) -> S3Objects:
    return S3Objects(
        S3Spec(
            endpoint=f"127.0.0.1:{port}",
            region="eu",
            bucket="backups",
            access_key=Secret("the-access-key"),
            secret_key=Secret(HIDDEN),
            folder="prod",
            path_style=True,
            insecure=True,
        )
    )


def outcome(store: Answering, answer: Callable[[str, str], Answer]) -> Any:
    store.answer = answer
    try:
        seen = asyncio.run(bucket(store.port).snapshots("prod"))
    except StorageError as error:
        told = error
    else:
        assert_typed(seen, tuple[StoredSnapshot, ...])
        return seen
    assert HIDDEN not in str(told)
    assert str(told).isprintable()
    return told


def listing(*keys: str, more: bool = False) -> bytes:
    entries = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-11-28T20:00:00.000Z</LastModified><Size>5</Size></Contents>"
        for key in keys
    )
    rest = "<NextContinuationToken>x</NextContinuationToken>" if more else ""
    head = f"<Name>backups</Name><IsTruncated>{str(more).lower()}</IsTruncated>{rest}"
    return f'<?xml version="1.0"?><ListBucketResult>{head}{entries}</ListBucketResult>'.encode()


STAT = {"Last-Modified": "Sat, 28 Nov 2026 20:00:00 GMT", "ETag": '"a"', "x-amz-meta-k3s-node-name": "m1"}


def right(method: str, _path: str) -> Answer:
    return Answer(b"12345", headers=STAT) if method == "HEAD" else Answer(listing("prod/a"), headers=XML)


def test_the_right_answers_are_read(store: Answering) -> None:
    (seen,) = outcome(store, right)
    assert (seen.name, seen.size, seen.node) == ("a", 5, "m1")


@pytest.mark.parametrize(("status", "known"), [(404, True), (403, False), (500, False)])
def test_an_object_that_is_gone_since_it_was_listed_is_left_out_and_no_other(
    store: Answering, status: int, known: bool
) -> None:
    """A retention may have taken it away in between."""
    listed = Answer(listing("prod/a", "prod/b"), headers=XML)

    def answer(method: str, path: str) -> Answer:
        gone = method == "HEAD" and "prod/b" in path
        return Answer(b"", status) if gone else right(method, path) if method == "HEAD" else listed

    seen = outcome(store, answer)
    assert ([one.name for one in seen] == ["a"]) if known else isinstance(seen, StorageError)


def test_what_was_seen_is_a_typed_error_or_value(store: Answering) -> None:
    for content in [
        *INSTANCES,
        b"<a>",
        b"<ListBucketResult/>",
        listing()[:60],
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
    ]:
        for status in (200, 400, 403):
            outcome(store, lambda _m, _p: Answer(content[:5000], status, headers=XML))  # noqa: B023


@FEW
@given(content=st.binary(max_size=80), status=st.sampled_from([200, 301, 307, 400, 403, 404]), xml=st.booleans())
def test_any_answer_is_a_typed_error_or_value(store: Answering, content: bytes, status: int, xml: bool) -> None:
    outcome(store, lambda _m, _p: Answer(content, status, headers=XML if xml else {}))


@FEW
@given(at=st.integers(0, len(listing("prod/a")) - 1), byte=st.integers(0, 255))
def test_a_listing_with_a_wrong_byte(store: Answering, at: int, byte: int) -> None:
    whole = listing("prod/a")
    wrong = whole[:at] + bytes([byte]) + whole[at + 1 :]
    outcome(store, lambda method, path: right(method, path) if method == "HEAD" else Answer(wrong, headers=XML))


@FEW
@given(
    name=st.sampled_from(["Last-Modified", "Content-Type", "x-amz-meta-k3s-token-hash"]),
    value=st.text(st.characters(min_codepoint=33, max_codepoint=255), max_size=20),
)
def test_a_head_with_a_wrong_header(store: Answering, name: str, value: str) -> None:
    beside = {**STAT, name: value}
    outcome(store, lambda method, path: Answer(b"1", headers=beside) if method == "HEAD" else right(method, path))


@pytest.mark.parametrize("key", ["prod/../x", "prod/a/b", "prod/&#x9b;2J", "elsewhere", "prod/"])
def test_a_name_that_k3s_does_not_write_is_no_snapshot(store: Answering, key: str) -> None:
    seen = outcome(
        store, lambda method, path: right(method, path) if method == "HEAD" else Answer(listing(key), headers=XML)
    )
    assert all("/" not in one.name and one.name.isprintable() for one in seen)


def test_a_listing_without_an_end_is_an_error(store: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_pool, "_REQUESTS_MOST", 5)
    assert isinstance(outcome(store, lambda _m, _p: Answer(listing(more=True), headers=XML)), StorageError)
    monkeypatch.setattr(s3_pool, "_MOST_BYTES", 1000)
    assert "(HTTPError)" in str(outcome(store, lambda _m, _p: Answer(b" " * 5000, headers=XML)))


def test_a_bucket_of_endless_objects_is_an_error(store: Answering, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "_OBJECTS_MOST", 1)
    two = listing("prod/a", "prod/b")
    seen = outcome(store, lambda method, path: right(method, path) if method == "HEAD" else Answer(two, headers=XML))
    assert "more than 1 objects" in str(seen)


def test_an_object_that_is_longer_than_it_said_is_an_error(store: Answering, tmp_path: Path) -> None:
    store.answer = lambda _m, _p: Answer(b"x" * 5000, headers=STAT)
    snapshot = StoredSnapshot(name="a", folder="prod", size=5, modified=0.0)
    with pytest.raises(StorageError, match="longer than it said"):
        asyncio.run(bucket(store.port).fetch(snapshot, str(tmp_path / "a")))


def test_no_netrc_and_the_proxy_that_the_environment_names(
    store: Answering, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login a password b\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    store.asked.clear()
    outcome(store, right)
    assert all(headers["Authorization"].startswith("AWS4-HMAC-SHA256") for _, _, headers in store.asked)
    with answering(right) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "elsewhere")
        outcome(store, right)
        assert [path.startswith("http://127.0.0.1:") for _, path, _ in proxy.asked] == [True, True]
