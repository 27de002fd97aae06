"""What `lab up` tells the daemon it starts."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

PROJECT = "lab"
"""The project that the lab's own token opens."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where and what to run; `listener` (the API on 127.0.0.1) and `ready` (a pipe) are inherited descriptors."""

    folder: str
    rootfs: str
    latency: str
    k3s_binary: str | None
    listener: int
    ready: int

    def dump(self) -> str:
        """Return the command-line argument."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, argument: str) -> Settings:
        """Read the command-line argument."""
        return cls(**json.loads(argument))
