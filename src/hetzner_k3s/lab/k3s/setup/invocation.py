"""One run of the program: what it was told and when it began."""

from __future__ import annotations

from dataclasses import dataclass

from hetzner_k3s.lab.k3s.setup.flags import Flags
from hetzner_k3s.lab.k3s.setup.paths import Layout
from hetzner_k3s.lab.k3s.setup.timing import Timing


@dataclass(frozen=True, slots=True)
class Invocation:
    """A run of `k3s server` or `k3s agent`.

    Args:
        flags: its configuration.
        layout: its files.
        timing: its latency profile.
        version: `v1.36.3+k3s1`.
        began: when the process started, on the monotonic clock (seconds).
    """

    flags: Flags
    layout: Layout
    timing: Timing
    version: str
    began: float
