"""The lab's own world: process, mount and network namespaces of one daemon, which end with it whatever ends it.

When the daemon dies, SIGKILL included, the kernel ends every process of its process namespace; with the last one go all
mounts and network namespaces. Only files and (empty) control groups remain, and `lab down` knows where.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

from hetzner_k3s.lab.realhosts.network.namespaces import CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, unshare


def enter_own_world(record: Callable[[int], None]) -> None:
    """Fork into a new world; returns in the child only, which is process 1 there.

    Before the child does anything, the parent calls `record` with the child's process id as the machine counts it; then
    the parent exits. Call this before any thread is started.
    """
    unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)
    recorded, say_recorded = os.pipe()
    child = os.fork()
    if child:
        record(child)
        os.write(say_recorded, b"1")
        os._exit(0)
    os.close(say_recorded)
    if not os.read(recorded, 1):
        os._exit(1)  # the parent died before anyone could know of us
    os.close(recorded)
    _mount_own_views()


def _mount_own_views() -> None:
    _mount("--make-rslave", "/")  # what is mounted on the machine later appears here, never the other way
    _mount("-t", "proc", "proc", "/proc")
    # /run/netns and /run/systemd/nspawn are ours alone: no lab meets another, nothing stays behind.
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
