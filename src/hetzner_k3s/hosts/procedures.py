"""How each host operation is carried out: which script, with what, for how long, and how its answer is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from hetzner_k3s.hosts.host_facts import decoded, host_facts, hosted_snapshots, members, origin, saved_snapshot
from hetzner_k3s.hosts.log_answer import log_position
from hetzner_k3s.hosts.shell import script
from hetzner_k3s.hosts.units import UNIT_NAMES, configuration_files, install_files, lines
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.hosts.origin import ReadOrigin
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.configuration import (
    Install,
    PointToServer,
    Reconfigure,
    ReconnectAgent,
    RotateHostKey,
    SetToken,
    StageK3s,
    TidyK3s,
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
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt

GRACE = 20.0
"""Seconds that an operation with a deadline of its own may take beyond it."""

MEBIBYTE: Final = 1 << 20
ANSWER: Final = 4 * MEBIBYTE
"""Bytes of an answer: a look at a master with a thousand snapshots has a tenth of that."""
_LOG_ANSWER: Final = 256 * MEBIBYTE
"""Two segments of 64 MB, packed and in base64 (docs/security.md#caps)."""
_FILE: Final = 16 * 1024 * MEBIBYTE
"""A file or an archive: etcd keeps at most 8 GiB of data, and its log beside that."""
_OUTPUT: Final = 64 * MEBIBYTE  # of each stream of a command of the user's


@dataclass(frozen=True, slots=True)
class Procedure:
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
    most: int = ANSWER,
    secret: bool = False,
) -> Procedure:
    return Procedure(script, arguments, stdin, limit, read, tied, most, secret)


def _removal(operation: RemoveMember | RetireMember) -> tuple[str, ...]:
    victim = operation.member_id
    return (victim, format(int(victim), "x"), operation.precondition.uid, *operation.precondition.ids)


def _handover(operation: MoveLeader) -> tuple[str, ...]:
    return (operation.heir, format(int(operation.heir), "x"))


def _awaiting(operation: AwaitK3s) -> tuple[str, ...]:
    return (UNIT_NAMES[operation.role], operation.milestone.value, whole(operation.deadline))


def whole(seconds: float) -> str:
    """Return seconds as a script takes them: a whole number, at least one."""
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


PROCEDURES: Mapping[type[Operation[Any]], Procedure] = {
    Probe: _procedure("probe", read=host_facts, limit=lambda _: 20.0),
    RotateHostKey: _procedure(
        "rotate_host_key", arguments=lambda op: (op.public_key,), stdin=lambda op: op.private_key.reveal()
    ),
    Install: _procedure(
        "install", arguments=lambda op: (op.version,), stdin=lambda op: lines(install_files(op)), limit=lambda _: 600.0
    ),
    PointToServer: _procedure("point_to_server", arguments=lambda op: (op.url,)),
    WriteConfig: _procedure("write_config", stdin=lambda op: op.config.reveal()),
    Reconfigure: _procedure(
        "reconfigure",
        arguments=lambda op: (UNIT_NAMES[op.role], op.version or "-", *op.members),
        stdin=lambda op: lines(configuration_files(op)),
        limit=lambda _: 150.0,
    ),
    StageK3s: _procedure(
        "stage_k3s",
        arguments=lambda op: (op.version,),
        stdin=lambda _: script("download_k3s"),
        limit=lambda _: 600.0,
    ),
    TidyK3s: _procedure("tidy_k3s", limit=lambda _: 120.0),
    SetToken: _procedure(
        "set_token",
        arguments=lambda op: ("yes" if op.revive else "no",),
        stdin=lambda op: f"{op.token.reveal()}\n",
    ),
    ReadOrigin: _procedure("read_origin", read=lambda result, _: origin(result), limit=lambda _: 20.0),
    WriteCaPin: _procedure("write_ca_pin", arguments=lambda op: (op.before, op.ca, "yes" if op.restart else "no")),
    StartK3s: _procedure("start_k3s", arguments=lambda op: (UNIT_NAMES[op.role], "yes" if op.birth else "no")),
    AwaitK3s: _procedure(
        "await_k3s", arguments=_awaiting, limit=lambda op: op.deadline + GRACE, read=host_facts, tied=True
    ),
    RemoveMember: _procedure("remove_member", arguments=_removal, limit=lambda _: 60.0),
    RetireMember: _procedure("retire_member", arguments=_removal, limit=lambda _: 60.0),
    MoveLeader: _procedure("move_leader", arguments=_handover, limit=lambda _: 60.0),
    StopK3s: _procedure("stop_k3s", arguments=lambda op: (UNIT_NAMES[op.role],), limit=lambda _: 120.0),
    WipeJoiner: _procedure("wipe_joiner", arguments=lambda op: (op.server_url, op.address), limit=lambda _: 180.0),
    PromoteLearner: _procedure(
        "promote_learner",
        arguments=lambda op: (op.peer_address, whole(op.deadline)),
        limit=lambda op: op.deadline + GRACE,
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
        arguments=lambda op: (whole(op.deadline),),
        read=lambda result, _: hosted_snapshots(result),
        limit=lambda op: op.deadline * 2 + GRACE,
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
