"""Commands of the user's own, run on a host."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from hetzner_k3s.model.operations.operation import Done, Operation


class Stream(Enum):
    """Where a command writes."""

    OUT = "stdout"
    ERR = "stderr"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCommand(Operation[Done]):
    """Run a text with bash, or with what its first line names (`#!`); it ends when nobody listens any more.

    `script` is no `Secret`, although nobody shows it: what is one is masked in whatever a host prints, and the words
    of a command are what its answers are made of. `deadline` is in seconds.
    """

    script: str = field(repr=False)
    deadline: float
