"""How busy this machine is: figures that were measured on busy cores lie."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_IDLE = (3, 4)
"""Fields of /proc/stat: idle, and waiting for a disk."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The processor seconds of all cores that were spent and idle until a moment."""

    busy: float
    at: float

    def cores_since(self, earlier: Moment) -> float:
        """Return how many cores were busy on average between two moments."""
        return (self.busy - earlier.busy) / max(self.at - earlier.at, 1e-9)


def moment(stat: Path = Path("/proc/stat")) -> Moment:
    """Read the clock of the processors."""
    fields = [int(field) for field in stat.read_text().splitlines()[0].split()[1:9]]
    busy = sum(field for index, field in enumerate(fields) if index not in _IDLE)
    return Moment(busy / os.sysconf("SC_CLK_TCK"), time.monotonic())


def busy_cores(seconds: float = 2.0) -> float:
    """Look how many cores others keep busy while we wait."""
    before = moment()
    time.sleep(seconds)
    return moment().cores_since(before)


def said(before: float) -> str:
    """Return in words how busy the machine was."""
    cores = os.cpu_count() or 1
    warning = "" if before < 0.15 * cores else ": these figures are worth little"
    return f"{cores} cores, {before:.1f} of them busy with other things before the runs{warning}"
