"""How an operation on a simulated host fails: the kinds that the real scripts print."""

from __future__ import annotations

FAILED = "failed"
PRECONDITION_CHANGED = "precondition_changed"
FENCED = "fenced"
BUSY = "busy"
NEVER_RAN = "never_ran"


class OperationRefused(Exception):
    """An operation ended without its result; `kind` is one of the words above."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def failed(message: str) -> OperationRefused:
    """Make the plain failure."""
    return OperationRefused(FAILED, message)


def precondition_changed(message: str) -> OperationRefused:
    """Make the answer of a host that sees another world than was decided on."""
    return OperationRefused(PRECONDITION_CHANGED, message)
