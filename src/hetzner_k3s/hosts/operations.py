"""From a host operation to what runs on the host, and from what the host printed to the typed result."""

from __future__ import annotations

import base64
import gzip
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from hetzner_k3s.hosts.host_facts import Document, host_facts, hosted_snapshots, members
from hetzner_k3s.hosts.shell import operation_script
from hetzner_k3s.hosts.units import UNIT_NAMES, install_files
from hetzner_k3s.hosts.wal import UnreadableLog, last_position
from hetzner_k3s.model.errors import (
    Fate,
    HostBusy,
    HostError,
    LockLost,
    OperationFailed,
    PreconditionChanged,
    ProductError,
)
from hetzner_k3s.model.host import HostKeyKind, LogPosition, Snapshot
from hetzner_k3s.model.operations import (
    AwaitK3s,
    Done,
    FenceMember,
    FetchDatabase,
    HoldK3s,
    Install,
    MoveLeader,
    Operation,
    PointToServer,
    Probe,
    PromoteLearner,
    ReadJournal,
    ReadLog,
    ReadMembers,
    ReadSecret,
    ReadStoredUid,
    ReceiveSnapshot,
    ReconnectAgent,
    RemoveMember,
    ResetCluster,
    RestoreSnapshot,
    RetireMember,
    RotateHostKey,
    SaveSnapshot,
    SendSnapshot,
    SetToken,
    StartK3s,
    StopK3s,
    TellSnapshots,
    WipeJoiner,
    WriteConfig,
)
from hetzner_k3s.model.secrets import Secret

R = TypeVar("R")

_GRACE = 20.0
"""Seconds that an operation with a deadline of its own may take beyond it."""


@dataclass(frozen=True, slots=True)
class _Procedure:
    """How one kind of operation is carried out; `limit` is in seconds, a `tied` one ends with its session."""

    script: str
    arguments: Callable[[Any], tuple[str, ...]]
    stdin: Callable[[Any], str]
    limit: Callable[[Any], float]
    read: Callable[[Any, HostKeyKind], Any]
    tied: bool


def _procedure(
    script: str,
    *,
    arguments: Callable[[Any], tuple[str, ...]] = lambda _: (),
    stdin: Callable[[Any], str] = lambda _: "",
    limit: Callable[[Any], float] = lambda _: 30.0,
    read: Callable[[Any, HostKeyKind], Any] = lambda _result, _key: Done(),
    tied: bool = False,
) -> _Procedure:
    return _Procedure(script, arguments, stdin, limit, read, tied)


def _removal(operation: RemoveMember | RetireMember) -> tuple[str, ...]:
    victim = operation.member_id
    return (victim, format(int(victim), "x"), operation.basis.uid, *operation.basis.ids)


def _handover(operation: MoveLeader) -> tuple[str, ...]:
    return (operation.heir, format(int(operation.heir), "x"))


def _awaiting(operation: AwaitK3s) -> tuple[str, ...]:
    return (UNIT_NAMES[operation.role], operation.milestone.value, _whole(operation.deadline))


def _log(result: Document) -> LogPosition | None:
    return last_position([gzip.decompress(base64.b64decode(segment)) for segment in result["segments"]])


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def _text(result: Document) -> str:
    return base64.b64decode(result["base64"]).decode(errors="replace")


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
        "set_token", arguments=lambda op: ("yes" if op.revive else "no",), stdin=lambda op: f"{op.token.reveal()}\n"
    ),
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
        limit=lambda _: 120.0,
        read=lambda result, _: Snapshot(**result),
    ),
    ReadSecret: _procedure(
        "read_secret", arguments=lambda op: (op.kind.value,), read=lambda result, _: Secret(_text(result))
    ),
    HoldK3s: _procedure(
        "hold_k3s",
        arguments=lambda op: (op.basis.ca, op.basis.leader or "-", str(round(op.watched))),
        limit=lambda op: op.watched + 150.0,
    ),
    ReadLog: _procedure(
        "read_log", arguments=lambda op: (str(op.segments),), read=lambda result, _: _log(result), limit=lambda _: 300.0
    ),
    ReadStoredUid: _procedure(
        "read_stored_uid", read=lambda result, _: None if result is None else str(result), limit=lambda _: 300.0
    ),
    FetchDatabase: _procedure("fetch_database", limit=lambda _: 3600.0),
    FenceMember: _procedure("fence_member", arguments=lambda op: (op.ca,), limit=lambda _: 60.0),
    ResetCluster: _procedure(
        "reset_cluster", arguments=lambda op: (op.ca, op.lineage, op.parent or "-"), limit=lambda _: 700.0
    ),
    RestoreSnapshot: _procedure(
        "restore_snapshot",
        arguments=lambda op: (op.snapshot, op.lineage, op.parent or "-", op.sha256 or "-"),
        limit=lambda _: 620.0,
    ),
    TellSnapshots: _procedure(
        "tell_snapshots",
        arguments=lambda op: (_whole(op.deadline),),
        read=lambda result, _: hosted_snapshots(result),
        limit=lambda op: op.deadline * 2 + _GRACE,
    ),
    ReceiveSnapshot: _procedure(
        "receive_snapshot", arguments=lambda op: (op.name, str(op.size), op.sha256), limit=lambda _: 3600.0
    ),
    SendSnapshot: _procedure("send_snapshot", arguments=lambda op: (op.name,), limit=lambda _: 3600.0),
    ReconnectAgent: _procedure("reconnect_agent", arguments=lambda op: (op.url, ",".join(op.known) or "-")),
    ReadMembers: _procedure("read_members", read=lambda result, _: members(result)),
    ReadJournal: _procedure(
        "read_journal",
        arguments=lambda op: (UNIT_NAMES[op.role], str(op.lines)),
        read=lambda result, _: _text(result),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What is sent over SSH: a command without a secret in it, what goes to its stdin, and seconds it may take.

    The stdin of a `tied` one is left open, so that it ends when the session does.
    """

    command: str
    stdin: Secret
    limit: float
    tied: bool = False


def invocation(operation: Operation[Any], operation_id: str) -> Invocation:
    """Render an operation; a mutating one is launched as the host's one transient unit, known by `operation_id`."""
    procedure = _PROCEDURES[type(operation)]
    body, arguments = operation_script(procedure.script), procedure.arguments(operation)
    stdin = procedure.stdin(operation)
    if operation.mutating:
        fence = str(getattr(operation, "fence"))  # noqa: B009  every mutating operation has one; the base class has not
        size = str(len(stdin.encode()))
        arguments = (operation_id, name(operation), fence, size, body, operation_script("unit"), *arguments)
        body = operation_script("launch")
    return Invocation(
        command=shlex.join(("exec", "/bin/sh", "-c", body, procedure.script, *arguments)),
        stdin=Secret(stdin),
        limit=procedure.limit(operation),
        tied=procedure.tied,
    )


def settlement(operation_id: str, seconds: float) -> Invocation:
    """Render the question how a mutating operation ended whose connection was cut."""
    arguments = ("exec", "/bin/sh", "-c", operation_script("settle"), "settle", operation_id, _whole(seconds))
    return Invocation(command=shlex.join(arguments), stdin=Secret(""), limit=seconds + _GRACE)


def read_result(operation: Operation[R], printed: str, key: HostKeyKind, server: str) -> R:
    """Give the typed result of what an operation printed.

    Raises:
        PreconditionChanged, HostBusy, OperationFailed: as the host answered.
        LockLost: the host has seen a newer operator lock than ours.
    """
    try:
        document = json.loads(printed)
    except ValueError:
        raise _failure(operation, server, f"unreadable answer {printed[-200:]!r}") from None
    if "error" in document:
        raise _refusal(operation, document["error"], document["message"], server)
    try:
        return cast(R, _PROCEDURES[type(operation)].read(document["result"], key))
    except UnreadableLog as problem:
        raise _failure(operation, server, f"its etcd log cannot be read: {problem}") from problem


def stream_failure(operation: Operation[Any], complaint: str, server: str) -> ProductError:
    """Give the error that a stream ended with: what the script wrote to stderr, or the tool that it ran."""
    try:
        document = json.loads(complaint)
    except ValueError:
        return _failure(operation, server, complaint.strip()[-300:] or "it ended without a word")
    return _refusal(operation, document["error"], document["message"], server)


def name(operation: Operation[Any]) -> str:
    """Name an operation as it is shown and recorded."""
    return type(operation).__name__


def _refusal(operation: Operation[Any], kind: str, message: str, server: str) -> ProductError:
    match kind:
        case "precondition_changed":
            return PreconditionChanged(f"{server}: {message}", server=server)
        case "busy":
            return HostBusy(f"{server}: {message}", server=server)
        case "fenced":
            return LockLost(f"{server}: {message}")
        case "never_ran":
            return _failure(operation, server, message, began=False)
        case _:
            return _failure(operation, server, message)


def _failure(operation: Operation[Any], server: str, message: str, *, began: bool = True) -> HostError:
    fate = Fate.MAY_HAVE_HAPPENED if operation.mutating and began else Fate.DID_NOT_HAPPEN
    return OperationFailed(
        f"{server}: {name(operation)} failed: {message}", server=server, operation=name(operation), status=1, fate=fate
    )
