"""From a host operation to what runs on the host, and from what the host printed to the typed result."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from hetzner_k3s.hosts import framing
from hetzner_k3s.hosts.host_facts import decoded, host_facts, hosted_snapshots, members, origin, saved_snapshot
from hetzner_k3s.hosts.log_answer import log_position
from hetzner_k3s.hosts.shell import operation_script
from hetzner_k3s.hosts.units import UNIT_NAMES, install_files
from hetzner_k3s.hosts.wal import UnreadableLog
from hetzner_k3s.model.errors import (
    Fate,
    HostBusy,
    HostError,
    LockLost,
    OperationFailed,
    PreconditionChanged,
    ProductError,
)
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.origin import ReadOrigin
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.configuration import (
    Install,
    PointToServer,
    ReconnectAgent,
    RotateHostKey,
    SetToken,
    WriteCaPin,
    WriteConfig,
)
from hetzner_k3s.model.operations.disaster import (
    FenceMember,
    FetchDatabase,
    HoldK3s,
    ReadLog,
    ReadStoredUid,
    ResetCluster,
)
from hetzner_k3s.model.operations.looks import Probe, ReadJournal, ReadSecret
from hetzner_k3s.model.operations.members import (
    MoveLeader,
    PromoteLearner,
    ReadMembers,
    RemoveMember,
    RetireMember,
    WipeJoiner,
)
from hetzner_k3s.model.operations.operation import Done, Operation
from hetzner_k3s.model.operations.service import (
    AwaitK3s,
    RestartBirth,
    StartK3s,
    StartWithAgent,
    StartWithoutAgent,
    StopK3s,
)
from hetzner_k3s.model.operations.snapshots import (
    ReceiveSnapshot,
    RestoreSnapshot,
    SaveSnapshot,
    SendSnapshot,
    TellSnapshots,
)
from hetzner_k3s.model.secrets import Secret, masked
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt

R = TypeVar("R")

_GRACE = 20.0
"""Seconds that an operation with a deadline of its own may take beyond it."""

_MEBIBYTE: Final = 1 << 20
_ANSWER: Final = 4 * _MEBIBYTE
"""Bytes of an answer: a look at a master with a thousand snapshots has a tenth of that."""
_LOG_ANSWER: Final = 256 * _MEBIBYTE
"""Two segments of 64 MB, packed and in base64 (docs/security.md#caps)."""
_FILE: Final = 16 * 1024 * _MEBIBYTE
"""A file or an archive: etcd keeps at most 8 GiB of data, and its log beside that."""
_OUTPUT: Final = 64 * _MEBIBYTE  # of each stream of a command of the user's
_QUOTED: Final = 200
"""Characters of an unreadable answer that are shown."""


@dataclass(frozen=True, slots=True)
class _Procedure:
    """How one kind of operation is carried out.

    `limit` is in seconds, `most` the bytes that it may print; a `tied` one ends with its session. Of the answer of a
    `secret` one nothing is quoted, not even a host's reason.
    """

    script: str
    arguments: Callable[[Any], tuple[str, ...]]
    stdin: Callable[[Any], str]
    limit: Callable[[Any], float]
    read: Callable[[Any, HostKeyKind], Any]
    tied: bool
    most: int
    secret: bool


def _procedure(
    script: str,
    *,
    arguments: Callable[[Any], tuple[str, ...]] = lambda _: (),
    stdin: Callable[[Any], str] = lambda _: "",
    limit: Callable[[Any], float] = lambda _: 30.0,
    read: Callable[[Any, HostKeyKind], Any] = lambda _result, _key: Done(),
    tied: bool = False,
    most: int = _ANSWER,
    secret: bool = False,
) -> _Procedure:
    return _Procedure(script, arguments, stdin, limit, read, tied, most, secret)


def _removal(operation: RemoveMember | RetireMember) -> tuple[str, ...]:
    victim = operation.member_id
    return (victim, format(int(victim), "x"), operation.precondition.uid, *operation.precondition.ids)


def _handover(operation: MoveLeader) -> tuple[str, ...]:
    return (operation.heir, format(int(operation.heir), "x"))


def _awaiting(operation: AwaitK3s) -> tuple[str, ...]:
    return (UNIT_NAMES[operation.role], operation.milestone.value, _whole(operation.deadline))


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def _text(result: object) -> str:
    """Read a text of many lines, each of them printable."""
    told = decoded(Document.of(result), "base64").decode(errors="replace")
    return "".join(f"{excerpt(line)}\n" for line in told.split("\n") if line)


def _secret(result: object) -> Secret:
    try:
        return Secret(decoded(Document.of(result), "base64").decode())
    except UnicodeDecodeError:
        raise Malformed("it is no text") from None


def _stored_uid(result: object) -> str | None:
    return Document({"uid": result}).optional_text("uid")


_PROCEDURES: Mapping[type[Operation[Any]], _Procedure] = {
    Probe: _procedure("probe", read=host_facts, limit=lambda _: 20.0),
    RotateHostKey: _procedure(
        "rotate_host_key",
        arguments=lambda op: (op.public_key,),
        stdin=lambda op: op.private_key.reveal(),
    ),
    Install: _procedure(
        "install",
        arguments=lambda op: (op.version,),
        stdin=lambda op: "".join(file.line() for file in install_files(op)),
        limit=lambda _: 600.0,
    ),
    PointToServer: _procedure("point_to_server", arguments=lambda op: (op.url,)),
    WriteConfig: _procedure("write_config", stdin=lambda op: op.config.reveal()),
    SetToken: _procedure(
        "set_token",
        arguments=lambda op: ("yes" if op.revive else "no",),
        stdin=lambda op: f"{op.token.reveal()}\n",
    ),
    ReadOrigin: _procedure("read_origin", read=lambda result, _: origin(result), limit=lambda _: 20.0),
    WriteCaPin: _procedure("write_ca_pin", arguments=lambda op: (op.before, op.ca, "yes" if op.restart else "no")),
    StartK3s: _procedure("start_k3s", arguments=lambda op: (UNIT_NAMES[op.role], "yes" if op.birth else "no")),
    AwaitK3s: _procedure(
        "await_k3s", arguments=_awaiting, limit=lambda op: op.deadline + _GRACE, read=host_facts, tied=True
    ),
    RemoveMember: _procedure("remove_member", arguments=_removal, limit=lambda _: 60.0),
    RetireMember: _procedure("retire_member", arguments=_removal, limit=lambda _: 60.0),
    MoveLeader: _procedure("move_leader", arguments=_handover, limit=lambda _: 60.0),
    StopK3s: _procedure("stop_k3s", arguments=lambda op: (UNIT_NAMES[op.role],), limit=lambda _: 120.0),
    WipeJoiner: _procedure("wipe_joiner", arguments=lambda op: (op.server_url, op.address), limit=lambda _: 180.0),
    PromoteLearner: _procedure(
        "promote_learner",
        arguments=lambda op: (op.peer_address, _whole(op.deadline)),
        limit=lambda op: op.deadline + _GRACE,
        tied=True,
    ),
    SaveSnapshot: _procedure(
        "save_snapshot",
        arguments=lambda op: (op.name,),
        limit=lambda _: 180.0,
        read=lambda result, _: saved_snapshot(result),
    ),
    ReadSecret: _procedure(
        "read_secret", arguments=lambda op: (op.kind.value,), read=lambda result, _: _secret(result), secret=True
    ),
    HoldK3s: _procedure(
        "hold_k3s",
        arguments=lambda op: (op.precondition.ca, op.precondition.leader or "-", str(round(op.watched))),
        limit=lambda op: op.watched + 150.0,
    ),
    ReadLog: _procedure(
        "read_log",
        arguments=lambda op: (str(op.segments),),
        read=lambda result, _: log_position(result),
        limit=lambda _: 300.0,
        most=_LOG_ANSWER,
    ),
    ReadStoredUid: _procedure("read_stored_uid", read=lambda result, _: _stored_uid(result), limit=lambda _: 300.0),
    FetchDatabase: _procedure("fetch_database", limit=lambda _: 3600.0, most=_FILE),
    RestartBirth: _procedure("restart_birth", limit=lambda _: 150.0),
    FenceMember: _procedure("fence_member", arguments=lambda op: (op.ca,), limit=lambda _: 60.0),
    ResetCluster: _procedure(
        "reset_cluster", arguments=lambda op: (op.ca, op.lineage, op.parent or "-"), limit=lambda _: 700.0
    ),
    RestoreSnapshot: _procedure(
        "restore_snapshot",
        arguments=lambda op: (op.snapshot, op.lineage, op.parent or "-", op.sha256 or "-"),
        limit=lambda _: 620.0,
    ),
    StartWithoutAgent: _procedure("start_without_agent"),
    StartWithAgent: _procedure("start_with_agent", limit=lambda _: 120.0),
    TellSnapshots: _procedure(
        "tell_snapshots",
        arguments=lambda op: (_whole(op.deadline),),
        read=lambda result, _: hosted_snapshots(result),
        limit=lambda op: op.deadline * 2 + _GRACE,
    ),
    ReceiveSnapshot: _procedure(
        "receive_snapshot", arguments=lambda op: (op.name, str(op.size), op.sha256), limit=lambda _: 3600.0
    ),
    SendSnapshot: _procedure("send_snapshot", arguments=lambda op: (op.name,), limit=lambda _: 3600.0, most=_FILE),
    ReconnectAgent: _procedure("reconnect_agent", arguments=lambda op: (op.url, ",".join(op.known) or "-")),
    RunCommand: _procedure(
        "run_command",
        arguments=lambda op: (str(len(op.script.encode())),),
        limit=lambda op: op.deadline,
        tied=True,
        most=_OUTPUT,
        secret=True,
    ),
    ReadMembers: _procedure("read_members", read=lambda result, _: members(Document.of(result))),
    ReadJournal: _procedure(
        "read_journal",
        arguments=lambda op: (UNIT_NAMES[op.role], str(op.lines)),
        read=lambda result, _: _text(result),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What is sent over SSH: a command without a secret in it, what goes to its stdin, and seconds it may take.

    The stdin of a `tied` one is left open, so that it ends when the session does. What it prints, `most` bytes of it,
    stands between lines that are the `mark`.
    """

    command: str
    stdin: Secret
    limit: float
    mark: str
    most: int = _ANSWER
    tied: bool = False


def invocation(operation: Operation[Any], operation_id: str) -> Invocation:
    """Render an operation under an id of hexadecimal digits that is used for no other.

    A mutating one is launched as the host's one transient unit, known by that id.
    """
    procedure = _PROCEDURES[type(operation)]
    body, arguments = operation_script(procedure.script), procedure.arguments(operation)
    stdin = procedure.stdin(operation)
    if operation.mutating:
        fence = str(getattr(operation, "fence"))  # noqa: B009  every mutating operation has one; the base class has not
        size = str(len(stdin.encode()))
        arguments = (operation_id, name(operation), fence, size, body, operation_script("unit"), *arguments)
        body = operation_script("launch")
    body = framing.framed(body, operation_id, live=isinstance(operation, RunCommand))
    return Invocation(
        command=shlex.join(("exec", "/bin/sh", "-c", body, procedure.script, *arguments)),
        stdin=Secret(stdin),
        limit=procedure.limit(operation),
        mark=operation_id,
        most=procedure.most,
        tied=procedure.tied,
    )


def settlement(operation_id: str, seconds: float) -> Invocation:
    """Render the question how a mutating operation ended whose connection was cut."""
    body = framing.framed(operation_script("settle"), operation_id)
    arguments = ("exec", "/bin/sh", "-c", body, "settle", operation_id, _whole(seconds))
    return Invocation(command=shlex.join(arguments), stdin=Secret(""), limit=seconds + _GRACE, mark=operation_id)


def read_answer(operation: Operation[R], printed: bytes, mark: str, key: HostKeyKind, server: str) -> R:
    """Return the typed result of what a host printed, its login shell's noise included; see `read_result`."""
    try:
        document = framing.within(printed, mark)
    except Malformed as problem:
        raise _unreadable(operation, server, printed, problem) from None
    return read_result(operation, document, key, server)


def read_result(operation: Operation[R], printed: str | bytes, key: HostKeyKind, server: str) -> R:
    """Return the typed result of the document that an operation printed.

    Raises:
        PreconditionChanged, HostBusy, OperationFailed: as the host answered.
        LockLost: the host has seen a newer operator lock than ours.
    """
    try:
        document = Document.parsed(printed)
        if "error" not in document.fields:
            return cast(R, _PROCEDURES[type(operation)].read(document.fields.get("result"), key))
        kind, message = document.text("error"), document.text("message")
    except Malformed as problem:
        raise _unreadable(operation, server, printed, problem) from None
    except UnreadableLog as problem:
        raise _failure(operation, server, f"its etcd log cannot be read: {problem}") from problem
    raise _refusal(operation, kind, message, server)


def stream_failure(operation: Operation[Any], complaint: bytes, mark: str, server: str) -> ProductError:
    """Return the error that a stream ended with: what the script wrote to stderr, or the tool that it ran."""
    try:
        told = framing.within(complaint, mark)
    except Malformed:
        told = complaint
    try:
        document = Document.parsed(told)
        return _refusal(operation, document.text("error"), document.text("message"), server)
    except Malformed:
        words = masked(told.decode(errors="replace")).strip()[-_QUOTED:]
        return _failure(operation, server, excerpt(words) or "it ended without a word")


def too_much(operation: Operation[Any], server: str) -> ProductError:
    """Return the error of an answer that is longer than any that is meant."""
    most = _PROCEDURES[type(operation)].most // _MEBIBYTE
    return _failure(operation, server, f"it sent more than {most} MiB, so nothing of it was read")


def cut_short(operation: Operation[Any], server: str) -> ProductError:
    """Return the error of a stream whose end did not come, although it ended well."""
    return _failure(operation, server, "what it sent does not stand between the marks that were asked for")


def _unreadable(operation: Operation[Any], server: str, printed: str | bytes, problem: Malformed) -> HostError:
    """Return the error of an answer that was not understood, with its end where no secret went there or back."""
    procedure = _PROCEDURES[type(operation)]
    said = f"unreadable answer: {problem}"
    if not (procedure.secret or procedure.stdin(operation)):
        text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed
        said = f"{said}: '{masked(text).strip()[-_QUOTED:]}'"
    return _failure(operation, server, said)


def name(operation: Operation[Any]) -> str:
    """Name an operation as it is shown and recorded."""
    return type(operation).__name__


def _refusal(operation: Operation[Any], kind: str, message: str, server: str) -> ProductError:
    told = _quotable(operation, message)
    match kind:
        case "precondition_changed":
            return PreconditionChanged(f"{server}: {told}", server=server)
        case "busy":
            return HostBusy(f"{server}: {told}", server=server)
        case "fenced":
            return LockLost(f"{server}: {told}")
        case "never_ran":
            return _failure(operation, server, told, began=False)
        case _:
            return _failure(operation, server, told)


def _quotable(operation: Operation[Any], message: str) -> str:
    """Return a host's reason without a secret that it was sent; none of its words where a secret is asked for."""
    if isinstance(operation, ReadSecret):
        return f"this host has no {operation.kind.value}, or cannot read it"
    registries = operation.registries if isinstance(operation, Install) else None
    return excerpt(masked(message, _PROCEDURES[type(operation)].stdin(operation), registries or ""))


def _failure(operation: Operation[Any], server: str, message: str, *, began: bool = True) -> HostError:
    fate = Fate.MAY_HAVE_HAPPENED if operation.mutating and began else Fate.DID_NOT_HAPPEN
    return OperationFailed(
        f"{server}: {name(operation)} failed: {message}", server=server, operation=name(operation), fate=fate
    )
