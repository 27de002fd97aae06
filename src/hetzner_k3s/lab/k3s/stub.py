"""The archive's `__main__`: unpack the program below the data directory, as k3s does, and run it from there.

Python compiles modules of an archive anew at every start; unpacked ones are compiled once. Stands alone: it runs before
the package can be imported.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import zipfile

DATA = "/var/lib/rancher/k3s/data"
_UNPACKED_FOR = ("server", "agent")


def unpack(archive: str, data: str) -> str:
    """Unpack the archive into `<data>/<sha256>/lib` unless it is there; give that path."""
    with open(archive, "rb") as file:
        root = os.path.join(data, hashlib.sha256(file.read()).hexdigest())
    target = os.path.join(root, "lib")
    if os.path.isdir(target):
        return target
    os.makedirs(root, exist_ok=True)
    with open(os.path.join(data, ".lock"), "w", encoding="utf-8") as lock:
        os.fchmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(target):
            partial = f"{target}.{os.getpid()}"
            with zipfile.ZipFile(archive) as members:
                members.extractall(partial)
            os.rename(partial, target)
            _point(os.path.join(data, "current"), root)
    return target


def _point(link: str, target: str) -> None:
    temporary = f"{link}.{os.getpid()}"
    os.symlink(target, temporary)
    os.replace(temporary, link)


def run(version: str) -> int:
    """Run the command line from the unpacked program, or straight from the archive where nothing must be written."""
    if sys.argv[1:2] and sys.argv[1] in _UNPACKED_FOR:
        sys.path.insert(0, unpack(os.path.abspath(sys.argv[0]), DATA))
    from hetzner_k3s.lab.k3s.command import main

    # k3s goes by the name it was called by: its installer links kubectl to it.
    called = os.path.basename(sys.argv[0])
    return main(version, [*([called] if called == "kubectl" else []), *sys.argv[1:]])
