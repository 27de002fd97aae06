"""What real hosts need of this machine."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

# Program -> Debian package.
_PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}

# A container's root may lack these; bits of CapEff in /proc/self/status (linux/capability.h).
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def missing() -> tuple[str, ...]:
    """Return what this machine lacks, one readable entry each; empty when hosts can run here."""
    if not sys.platform.startswith("linux"):
        return ("Linux",)
    lacking = [] if os.geteuid() == 0 else ["root"]
    lacking += _lacking_capabilities() if os.geteuid() == 0 else []
    lacking += [program for program in _PROGRAMS if not shutil.which(program)]
    lacking += [] if "\toverlay" in Path("/proc/filesystems").read_text() else ["overlayfs in the kernel"]
    lacking += [f"{kind} namespaces" for kind in ("net", "mnt", "pid") if not Path(f"/proc/self/ns/{kind}").exists()]
    lacking += [] if "cgroup2" in Path("/proc/self/mounts").read_text() else ["a mounted cgroup2 hierarchy"]
    return tuple(lacking)


def advice(lacking: tuple[str, ...]) -> str:
    """Return what to do about what is missing; empty when nothing but another machine helps."""
    packages = sorted({_PROGRAMS[name] for name in lacking if name in _PROGRAMS})
    return f"on Debian: apt-get install {' '.join(packages)}" if packages else ""


def _lacking_capabilities() -> list[str]:
    status = Path("/proc/self/status").read_text().splitlines()
    held = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    return [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
