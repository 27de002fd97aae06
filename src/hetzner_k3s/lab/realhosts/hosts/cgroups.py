"""Control groups: one of its own for each host, in every hierarchy the machine has, below the caller's own group.

Without that all hosts share one and kill each other's units (docs/facts/lab.md#containers). The caller's group is read,
never assumed to be `/`: a login may live in a memory group that accounts for it (docs/facts/lab.md#cgroups).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_REMOVAL_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """A mounted cgroup hierarchy and the caller's own group in it; `unified` tells cgroup2 from version 1."""

    own: Path
    unified: bool


def hierarchies() -> tuple[Hierarchy, ...]:
    """List the hierarchies of this machine (hybrid, version 1 only or version 2 only)."""
    membership = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    wanted = [(set(filter(None, names.split(","))), path.lstrip("/")) for _, names, path in membership]
    return tuple(
        Hierarchy(mount_point / path, unified=not options)
        for mount_point, options in _mounts()
        for names, path in wanted
        if (names <= options if names else not options)
    )


def _mounts() -> Iterator[tuple[Path, set[str]]]:
    """Walk the mounted hierarchies: mount point and, of version 1, the options that name its controllers."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        kind, _, options = right.split(" ", 2)
        if kind in ("cgroup", "cgroup2") and left.split(" ")[3] == "/":
            yield Path(left.split(" ")[4]), set(options.split(",")) if kind == "cgroup" else set()


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The same group in every hierarchy. `unified` is its directory in cgroup2 (freezing works there)."""

    directories: tuple[Path, ...]
    unified: Path

    def child(self, name: str) -> ControlGroup:
        """Name a group below this one."""
        return ControlGroup(tuple(path / name for path in self.directories), self.unified / name)

    def create(self) -> None:
        """Make the directories; the group may exist."""
        for path in self.directories:
            path.mkdir(exist_ok=True)
            if (path / "cpuset.cpus").exists():
                _inherit_cpus(path)

    def entering(self, command: list[str]) -> list[str]:
        """Return a command line that moves itself into the group and becomes `command`: all it starts belongs there."""
        script = 'while [ "$1" != -- ]; do echo 0 >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'
        return ["sh", "-c", script, "sh", *map(str, self.directories), "--", *command]

    def processes(self) -> list[int]:
        """List the ids of all processes in the group and below."""
        return processes_below(self.unified)

    def freeze(self) -> None:
        """Stop every process where it stands."""
        (self.unified / "cgroup.freeze").write_text("1")

    def thaw(self) -> None:
        """Let frozen processes go on; an absent group is success."""
        with contextlib.suppress(FileNotFoundError):
            (self.unified / "cgroup.freeze").write_text("0")

    def kill(self) -> None:
        """End every process in the group and below."""
        if (self.unified / "cgroup.kill").exists():
            (self.unified / "cgroup.kill").write_text("1")

    def remove(self) -> None:
        """Remove the group and all below; an absent one is success.

        Raises TimeoutError when processes of it do not go away.
        """
        deadline = time.monotonic() + _REMOVAL_SECONDS
        while left := [path for path in self.directories if not _remove_tree(path)]:
            if time.monotonic() > deadline:
                raise TimeoutError(f"control groups still in use: {', '.join(map(str, left))}")
            time.sleep(0.02)


def processes_below(group: Path) -> list[int]:
    """List the ids of all processes in a cgroup directory and below; groups may vanish meanwhile."""
    files = (Path(directory) / "cgroup.procs" for directory, _, _ in os.walk(group))
    return [int(pid) for file in files for pid in _read(file).split()]


def lab_group(name: str) -> ControlGroup:
    """Name a lab's group below the caller's own."""
    found = hierarchies()
    unified = next(hierarchy.own for hierarchy in found if hierarchy.unified)
    return ControlGroup(tuple(hierarchy.own / name for hierarchy in found), unified / name)


def _inherit_cpus(path: Path) -> None:
    """Give a new cpuset its parent's processors: it starts with none, and then no process can enter."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = path / name
        if not file.read_text().strip():
            with contextlib.suppress(OSError):
                file.write_text((path.parent / name).read_text())


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _remove_tree(path: Path) -> bool:
    for directory, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(directory).rmdir()
    return not path.exists()
