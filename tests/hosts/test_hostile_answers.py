"""Any bytes that a host sends become a typed value or a typed error, for every operation; never anything else."""

from __future__ import annotations

import base64
import gzip
from itertools import pairwise
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hosts.outside import INSTANCES, VALUES, assert_typed, nearly, paths, replaced, sent, without
from tests.hosts.test_operations import ALL, HIDDEN, LOOK, MEMBER_LIST

from hetzner_k3s.hosts import framing, operations
from hetzner_k3s.model.errors import OperationFailed, ProductError
from hetzner_k3s.model.host import HostFacts, HostKeyKind
from hetzner_k3s.model.operations.configuration import (
    Install,
    Reconfigure,
    RotateHostKey,
    SetToken,
    StageK3s,
    WriteConfig,
)
from hetzner_k3s.model.operations.disaster import FetchDatabase, ReadLog
from hetzner_k3s.model.operations.looks import Probe, ReadJournal, ReadSecret, SecretKind
from hetzner_k3s.model.operations.operation import K3sRole, Operation
from hetzner_k3s.model.operations.snapshots import SaveSnapshot, TellSnapshots
from hetzner_k3s.model.secrets import Secret, masked

pytestmark = pytest.mark.usefixtures("no_collection")

MARK = "0123456789abcdef"
SNAPSHOT = {"name": "a", "size": 5, "created": 1.0}
ANSWERS: dict[str, Any] = {
    "Probe": LOOK,
    "AwaitK3s": LOOK,
    "ReadMembers": MEMBER_LIST,
    "SaveSnapshot": SNAPSHOT,
    "TellSnapshots": [{**SNAPSHOT, "sha256": "ab", "uid": None, "tokens": "ab cd"}],
    "ReadSecret": {"base64": "SzEwYWI6OnNlcnZlcjpwdw=="},
    "ReadJournal": {"base64": "YQpi"},
    "ReadLog": {"segments": [base64.b64encode(gzip.compress(b"\0" * 64)).decode()]},
    "ReadOrigin": {"flag": "--server", "bare_token": True, "configured": False, "runs": True},
    "ReadStoredUid": "6c2170f8-0000-4000-8000-000000000001",
}
FEW = settings(max_examples=15, deadline=None)
"""Examples an operation: most of them read the same way."""
OPERATIONS = pytest.mark.parametrize("operation", ALL, ids=operations.name)


def between(content: bytes) -> bytes:
    return b"\n%b\n%b\n%b\n" % (MARK.encode(), content, MARK.encode())


def read(operation: Operation[object], printed: bytes) -> object:
    """Read an answer, and hold what it became against the operation's own word for it."""
    try:
        result = operations.read_answer(operation, printed, MARK, HostKeyKind.FINAL, "m1")
    except ProductError as error:
        return error
    base = next(b for b in type(operation).__orig_bases__ if get_args(b))  # type: ignore[attr-defined]
    assert_typed(result, get_args(base)[0])
    return result


@OPERATIONS
def test_what_was_seen_is_a_typed_error_or_value(operation: Operation[object]) -> None:
    for content in INSTANCES:
        read(operation, between(content))


@OPERATIONS
@FEW
@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_typed_error_or_value(operation: Operation[object], content: bytes) -> None:
    assert isinstance(read(operation, content), ProductError)
    read(operation, between(content))
    assert isinstance(operations.stream_failure(operation, content, MARK, "m1"), ProductError)
    assert isinstance(operations.stream_failure(operation, between(content), MARK, "m1"), ProductError)


@OPERATIONS
@FEW
@given(document=st.one_of(VALUES, st.fixed_dictionaries({"result": VALUES}), st.fixed_dictionaries({"error": VALUES})))
def test_any_json_is_a_typed_error_or_value(operation: Operation[object], document: object) -> None:
    read(operation, between(sent(document)))
    assert isinstance(operations.stream_failure(operation, between(sent(document)), MARK, "m1"), ProductError)


@OPERATIONS
@FEW
@given(data=st.data())
def test_a_right_answer_with_one_thing_wrong(operation: Operation[object], data: st.DataObject) -> None:
    right = ANSWERS.get(operations.name(operation), {})
    assert not isinstance(read(operation, between(sent({"result": right}))), OperationFailed) or right
    read(operation, between(sent({"result": data.draw(nearly(right))})))


@pytest.mark.parametrize("wrong", [5, "x", [], {}, None, True, "9" * 5000, {"a": {"b": 1}}, ["\ud800"]], ids=repr)
def test_a_wrong_type_at_any_field_of_a_look(wrong: object) -> None:
    for path in paths(LOOK):
        for document in (replaced(LOOK, path, wrong), without(LOOK, path)):
            read(Probe(), between(sent({"result": document})))


def test_a_stray_file_with_blanks_beside_the_snapshots_is_one_file() -> None:
    look = {**LOOK, "snapshots": "5 1795468755 my own copy.db/ 6 1795468756 etcd-snapshot-m1/"}
    facts = read(Probe(), between(sent({"result": look})))
    assert isinstance(facts, HostFacts)
    assert [snapshot.name for snapshot in facts.snapshots] == ["my own copy.db", "etcd-snapshot-m1"]


def test_what_a_host_says_of_itself_is_printable() -> None:
    look = {**LOOK, "hostname": "m1\x1b]0;owned\x07\nrefused: all", "k3s_version": "v1\u202e"}
    facts = read(Probe(), between(sent({"result": look})))
    assert isinstance(facts, HostFacts)
    assert facts.hostname == r"m1\x1b]0;owned\x07\nrefused: all"
    assert facts.k3s_version == r"v1\u202e"
    journal = {"base64": base64.b64encode(b"one\n\x1b[31mtwo\n").decode()}
    assert read(ReadJournal(role=K3sRole.SERVER, lines=2), between(sent({"result": journal}))) == "one\n\\x1b[31mtwo\n"


def test_a_segment_that_unpacks_to_more_than_etcd_writes_is_not_unpacked() -> None:
    bomb = base64.b64encode(gzip.compress(b"\0" * (81 << 20), compresslevel=1)).decode()
    error = read(ReadLog(segments=1), between(sent({"result": {"segments": [bomb]}})))
    assert "larger than etcd makes them" in str(error)


_SECRETIVE = ReadSecret | Install | Reconfigure | RotateHostKey | SetToken | StageK3s | WriteConfig
SECRETIVE = [one for one in ALL if isinstance(one, _SECRETIVE)]
TOKEN = "K10" + "ab" * 32 + "::server:" + HIDDEN
NOISE = f"Welcome! {TOKEN}\n"
WRAPPED = between(sent({"result": {"base64": base64.b64encode(TOKEN.encode()).decode()}}))


def noisy() -> list[bytes]:
    """Give answers that hold the secret, with noise before, after and inside."""
    noise, middle = NOISE.encode(), len(WRAPPED) // 2
    torn = [WRAPPED[:middle] + noise + WRAPPED[middle:], WRAPPED[:middle] + noise, noise + WRAPPED[middle:], noise * 3]
    said = [sent({"error": kind, "message": TOKEN}) for kind in ("failed", "busy", "fenced", "never_ran", "other")]
    odd = [sent({"result": {"base64": TOKEN}}), sent({"result": TOKEN}), sent({"error": TOKEN}), sent(TOKEN)]
    return [noise + WRAPPED + noise, *torn, *map(between, [*said, *odd, noise])]


@pytest.mark.parametrize("operation", SECRETIVE, ids=operations.name)
def test_no_secret_in_an_error(operation: Operation[object]) -> None:
    """Seen: a `.bashrc` of one line made ReadSecret show the whole token four times and write it to the journal."""
    Secret(HIDDEN)  # this process knows it, also after a thousand others that earlier tests made
    for printed in noisy():
        told = read(operation, printed)
        assert HIDDEN not in str(told)
        assert HIDDEN not in repr(told)
        assert HIDDEN not in masked(str(operations.stream_failure(operation, printed, MARK, "m1")))


@pytest.mark.parametrize("behind", range(0, 260, 13))
def test_a_token_that_nobody_asked_for_is_not_quoted(behind: int) -> None:
    """A login shell that says the token inside an answer: no process but the host's own knows that it is one."""
    noise = f"K10{'ab' * 32}::server:not-known-to-us\n{'.' * behind}"
    key = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{'k' * 70}\n-----END OPENSSH PRIVATE KEY-----\n{'.' * behind}"
    for said in (noise, key):
        error = str(read(Probe(), between(said.encode())))
        complaint = str(operations.stream_failure(FetchDatabase(), said.encode(), MARK, "m1"))
        assert "unreadable answer" in error
        assert not [text for text in (error, complaint) if "known-to-us" in text or "kkk" in text]


def test_every_operation_that_carries_a_secret_is_walked() -> None:
    carrying = {one for one in ALL if operations.invocation(one, MARK).stdin}
    assert carrying <= {*SECRETIVE}


def test_noise_of_a_login_shell_breaks_nothing() -> None:
    noise = b'{"result":{}} I am your .bashrc\n'
    for operation in ALL:
        right = between(sent({"result": ANSWERS.get(operations.name(operation), {})}))
        if not isinstance(operation, ReadLog):
            assert not isinstance(read(operation, noise + right + noise), ProductError)


@given(content=st.binary(max_size=400), cuts=st.lists(st.integers(0, 500), max_size=6), noise=st.binary(max_size=40))
def test_a_stream_in_any_pieces_is_what_was_sent(content: bytes, cuts: list[int], noise: bytes) -> None:
    whole = noise + between(content) + noise
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    frame = framing.Frame(MARK)
    got = b"".join(frame.feed(whole[a:b]) for a, b in pairwise(edges))
    assert (got, frame.closed) == (content, True)


@given(content=st.binary(max_size=400), noise=st.binary(max_size=30), cuts=st.lists(st.integers(0, 200), max_size=6))
def test_a_command_is_heard_whole_wherever_it_is_cut(content: bytes, noise: bytes, cuts: list[int]) -> None:
    whole = noise + f"\n{MARK}\n".encode() + content + f"{MARK}\n".encode()
    edges = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    frame = framing.Frame(MARK, live=True)
    got = b"".join(frame.feed(whole[a:b]) for a, b in pairwise(edges))
    assert (got, frame.closed) == (content, True)


def test_a_line_of_a_command_is_heard_when_it_is_whole() -> None:
    frame = framing.Frame(MARK, live=True)
    assert frame.feed(f"\n{MARK}\na line\n".encode()) == b"a line\n"
    assert (frame.feed(MARK[:5].encode()), frame.feed(b"!")) == (b"", MARK[:5].encode() + b"!")


def test_results_of_these_are_typed_at_all() -> None:
    for operation in (SaveSnapshot(name="a", fence=1), TellSnapshots(deadline=1.0)):
        assert not isinstance(
            read(operation, between(sent({"result": ANSWERS[operations.name(operation)]}))), ProductError
        )
    secret = read(ReadSecret(kind=SecretKind.TOKEN), WRAPPED)
    assert secret == Secret(TOKEN)
