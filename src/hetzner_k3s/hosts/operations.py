"""From a host operation to what runs on the host, and from what the host printed to the typed result."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

from hetzner_k3s.hosts import framing
from hetzner_k3s.hosts.procedures import ANSWER, GRACE, MEBIBYTE, PROCEDURES, whole
from hetzner_k3s.hosts.shell import operation_script
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
from hetzner_k3s.model.operations.commands import RunCommand
from hetzner_k3s.model.operations.configuration import (
    Install,
    Reconfigure,
)
from hetzner_k3s.model.operations.looks import ReadSecret
from hetzner_k3s.model.operations.operation import Operation
from hetzner_k3s.model.secrets import Secret, masked
from hetzner_k3s.model.text.documents import Document, Malformed
from hetzner_k3s.model.text.printable import excerpt

R = TypeVar("R")

_QUOTED: Final = 200
"""Characters of an unreadable answer that are shown."""


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
    most: int = ANSWER
    tied: bool = False


def invocation(operation: Operation[Any], operation_id: str) -> Invocation:
    """Render an operation under an id of hexadecimal digits that is used for no other.

    A mutating one is launched as the host's one transient unit, known by that id.
    """
    procedure = PROCEDURES[type(operation)]
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
    arguments = ("exec", "/bin/sh", "-c", body, "settle", operation_id, whole(seconds))
    return Invocation(command=shlex.join(arguments), stdin=Secret(""), limit=seconds + GRACE, mark=operation_id)


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
            return cast(R, PROCEDURES[type(operation)].read(document.fields.get("result"), key))
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
    most = PROCEDURES[type(operation)].most // MEBIBYTE
    return _failure(operation, server, f"it sent more than {most} MiB, so nothing of it was read")


def cut_short(operation: Operation[Any], server: str) -> ProductError:
    """Return the error of a stream whose end did not come, although it ended well."""
    return _failure(operation, server, "what it sent does not stand between the marks that were asked for")


def _unreadable(operation: Operation[Any], server: str, printed: str | bytes, problem: Malformed) -> HostError:
    """Return the error of an answer that was not understood, with its end where no secret went there or back."""
    procedure = PROCEDURES[type(operation)]
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
    return excerpt(masked(message, PROCEDURES[type(operation)].stdin(operation), *_within(operation)))


def _within(operation: Operation[Any]) -> tuple[str, ...]:
    """Return the texts that an operation sends encoded, and that no answer may give back."""
    match operation:
        case Install():
            return (operation.registries or "",)
        case Reconfigure():
            return (operation.registries.reveal(), operation.config.reveal())
        case _:
            return ()


def _failure(operation: Operation[Any], server: str, message: str, *, began: bool = True) -> HostError:
    fate = Fate.MAY_HAVE_HAPPENED if operation.mutating and began else Fate.DID_NOT_HAPPEN
    return OperationFailed(
        f"{server}: {name(operation)} failed: {message}", server=server, operation=name(operation), fate=fate
    )
