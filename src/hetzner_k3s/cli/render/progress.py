"""Progress on stderr: which server is doing what, and since when the run has been going."""

from __future__ import annotations

from collections.abc import Callable

from hetzner_k3s.cli.render.names import short

_NAME_WIDTH = 20


class Progress:
    """Writes `  12.3s master2         joining through prod-master1` for each thing that happens."""

    def __init__(self, cluster: str, now: Callable[[], float], write: Callable[[str], None]) -> None:
        """Start the run's clock; `now` gives seconds, `write` takes a line."""
        self._cluster = cluster
        self._now = now
        self._write = write
        self._began = now()

    @property
    def seconds(self) -> float:
        """Return the seconds since the start."""
        return self._now() - self._began

    def leave_out(self, seconds: float) -> None:
        """Do not count seconds that were not the run's: it waited for an answer of its user."""
        self._began += seconds

    def say(self, name: str, what: str) -> None:
        """Write that something happens to a server or resource."""
        self._write(progress_line(self.seconds, short(name, self._cluster), what))


def progress_line(seconds: float, name: str, what: str) -> str:
    """Return the line about what a server was doing so many seconds after the run began."""
    return f"{seconds:7.1f}s {name:<{_NAME_WIDTH}} {what}"
