"""A lab's state directory: everything a lab leaves on disk, and the record by which `down` finds the rest."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetzner_k3s.lab.realhosts.hosts.cgroups import ControlGroup
from hetzner_k3s.lab.realhosts.hosts.mounts import unmount_below
from hetzner_k3s.lab.realhosts.hosts.processes import start_time


def default_folder() -> Path:
    """Return the usual place ($XDG_STATE_HOME/hetzner-k3s/lab)."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "hetzner-k3s" / "lab"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known about a lab: its control group, latency profile, and (once it answers) port on 127.0.0.1."""

    name: str
    group: ControlGroup
    latency: str
    port: int

    def dump(self) -> str:
        """Return the JSON text."""
        return json.dumps(dataclasses.asdict(self), default=str, indent=2)

    @classmethod
    def parse(cls, text: str) -> Record:
        """Read the JSON text."""
        raw: dict[str, Any] = json.loads(text)
        group = ControlGroup(tuple(Path(path) for path in raw["group"]["directories"]), Path(raw["group"]["unified"]))
        return cls(raw["name"], group, raw["latency"], raw["port"])


class StateFolder:
    """The files of one lab below `folder` (which need not exist)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.name = "hk3s-" + hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        self.token = self.folder / "token"
        self.admin_token = self.folder / "admin-token"
        self.log = self.folder / "daemon.log"
        self.hosts = self.folder / "hosts"
        self.layer = self.folder / "layer"
        self.credentials = self.folder / "tls"
        self.internet = self.folder / "internet"
        self._record = self.folder / "lab.json"
        self._daemon = self.folder / "daemon.pid"

    @contextmanager
    def locked(self, wait: bool) -> Iterator[None]:
        """Keep other `up` and `down` of this lab away. Raises BlockingIOError when not to wait and it is taken."""
        lock = self._lock(wait)
        try:
            yield
        finally:
            os.close(lock)

    def _lock(self, wait: bool) -> int:
        path = self.folder / "lock"
        while True:
            self._make()
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(lock)
                raise
            # `down` removes the file while it holds it: whoever waited then holds a lock that no path leads to.
            if path.exists() and os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
            os.close(lock)

    def _make(self) -> None:
        """Make the folder, for its owner alone whatever the umask; one that is there may hold something else."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.folder.mkdir(mode=0o700)
        except FileExistsError:
            return
        self.close()

    def close(self) -> None:
        """Let nobody but its owner in: below lie what root made inside of hosts, setuid programs among it."""
        self.folder.chmod(0o700)

    def write_secret(self, path: Path, text: str) -> None:
        """Write a file for its owner alone."""
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    @property
    def is_foreign(self) -> bool:
        """Check whether the folder holds something but no lab: then it is not ours to fill or to empty."""
        return not self._record.exists() and any(path.name != "lock" for path in self.folder.iterdir())

    def read_record(self) -> Record | None:
        """Return the record, None when there is none."""
        return Record.parse(self._record.read_text()) if self._record.exists() else None

    def write_record(self, record: Record) -> None:
        """Write the record whole or not at all."""
        fresh = self._record.with_suffix(".new")
        fresh.write_text(record.dump())
        fresh.rename(self._record)

    def write_daemon(self, pid: int) -> None:
        """Note the daemon's process, with its start time: process ids come again."""
        self._daemon.write_text(f"{pid} {start_time(pid)}")

    def daemon(self) -> int | None:
        """Return the daemon's process id, None when it does not run."""
        if not self._daemon.exists():
            return None
        pid, started = self._daemon.read_text().split()
        return int(pid) if start_time(int(pid)) == started else None

    def empty(self) -> None:
        """Remove everything but the lock."""
        unmount_below(self.folder)
        for path in self.folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()

    def remove(self) -> None:
        """Remove everything, the folder included; call it with the lock held."""
        self.empty()
        (self.folder / "lock").unlink()
        self.folder.rmdir()
