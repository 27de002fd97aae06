"""The cache of root filesystems: each recipe is built once.

`python -m hetzner_k3s.lab.realhosts.rootfs` builds when needed and prints the path. Use it as the lower layer of an
overlay only: it is shared by every lab of this machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hetzner_k3s.lab.realhosts.apt_source import NoAptSourceError
from hetzner_k3s.lab.realhosts.debian import SUITE, RootfsBuildError, build, recipe_hash
from hetzner_k3s.lab.realhosts.hosts.mounts import unmount_below


def cache_dir() -> Path:
    """Return the folder of finished root filesystems ($XDG_CACHE_HOME/hetzner-k3s/lab)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hetzner-k3s" / "lab"


def ensure_rootfs(before_build: Callable[[], object] = lambda: None) -> Path:
    """Return the root filesystem's path.

    It is built first (after `before_build`) when the cache has none of this recipe.

    Raises RootfsBuildError or NoAptSourceError. What an interrupted build leaves is never taken for finished.
    """
    cache_dir().mkdir(parents=True, exist_ok=True)
    cache_dir().chmod(0o700)  # a system's setuid programs, which nobody keeps up to date, are not for others
    target = cache_dir() / f"{SUITE}-{recipe_hash()}"
    if target.is_dir():
        return target
    with _build_lock():
        if not target.is_dir():
            before_build()
            _sweep(cache_dir())
            _build(target)
    return target


@contextmanager
def _build_lock() -> Iterator[None]:
    with (cache_dir() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(cache: Path) -> None:
    """Remove what killed builds left (we hold the lock: no build is under way)."""
    for leftover in cache.glob("building-*"):
        _remove(leftover)


def _remove(building: Path) -> None:
    unmount_below(building)  # or the removal would empty a /dev or /proc that mmdebstrap had mounted
    shutil.rmtree(building)


def _build(target: Path) -> None:
    building = Path(tempfile.mkdtemp(prefix="building-", dir=target.parent))
    try:
        build(building / "root")
        (building / "root").rename(target)
    finally:
        _remove(building)


def main() -> int:
    """Build when needed and print the path."""
    try:
        print(ensure_rootfs())  # noqa: T201 - the command's data
    except (RootfsBuildError, NoAptSourceError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
