"""Watches the command lines and environments of all processes of this machine, those inside of hosts included."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_EVERY = 0.005
_LOOKS = 20
"""How often a new process is looked at: what it was forked from is not yet what it is."""


@dataclass(slots=True)
class Watch:
    """What was seen: command lines, and environments by whether the process was in a host of the lab."""

    command_lines: set[bytes] = field(default_factory=set)
    environments_in_hosts: set[bytes] = field(default_factory=set)
    _looks: dict[str, int] = field(default_factory=dict)

    def look(self, hosts: Path) -> None:
        """Look at the processes that are new; `hosts` is the lab's control group: a number below it is a host."""
        now = [path.name for path in Path("/proc").iterdir() if path.name.isdecimal()]
        self._looks = {pid: self._looks.get(pid, 0) + 1 for pid in now}
        for pid in (pid for pid, looks in self._looks.items() if looks <= _LOOKS):
            self._look_at(Path("/proc") / pid, hosts)

    def _look_at(self, process: Path, hosts: Path) -> None:
        try:
            self.command_lines.add((process / "cmdline").read_bytes())
            if re.search(rf"/{hosts.name}/\d+", (process / "cgroup").read_text()):
                self.environments_in_hosts.add((process / "environ").read_bytes())
        except (FileNotFoundError, ProcessLookupError):
            return  # it has ended


@contextmanager
def watching(hosts: Path) -> Iterator[Watch]:
    """Watch for the length of a block."""
    watch, over = Watch(), threading.Event()

    def run() -> None:
        while not over.wait(_EVERY):
            watch.look(hosts)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()
