"""What a host operation is: frozen arguments and a typed result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar, Generic, TypeVar

R_co = TypeVar("R_co", covariant=True)


class K3sRole(Enum):
    """Which of the two units a host runs."""

    SERVER = "server"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Operation(Generic[R_co]):
    """An operation whose result is an `R_co`."""

    mutating: ClassVar[bool] = False
    boot_key_suffices: ClassVar[bool] = False
    """Whether a host that answers with its boot key may be asked: that key's private half is in user data."""
    unverified: ClassVar[bool] = False
    """Whether a host without a known key may be asked: nothing secret is sent, and its answer proves nothing."""


@dataclass(frozen=True, slots=True)
class Done:
    """An operation that has nothing to tell but that it is done."""
