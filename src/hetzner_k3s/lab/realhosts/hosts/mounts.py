"""Mounts: made, listed and undone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def mount_overlay(lower: tuple[Path, ...], upper: Path, work: Path, at: Path) -> None:
    """Mount an overlay; `lower` is topmost first. `volatile` skips every sync: a host's disk need not outlive the lab.

    Raises subprocess.CalledProcessError, for one when `upper` lies on an overlay itself (docs/facts/lab.md#overlays).
    """
    layers = ":".join(str(path) for path in lower)
    options = f"lowerdir={layers},upperdir={upper},workdir={work},volatile"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, str(at)], check=True, capture_output=True)


def mounted_below(folder: Path) -> list[Path]:
    """List the mount points at or below a folder, innermost first."""
    points = [_unescape(line.split(" ")[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    top = folder.resolve()
    return [path for path in map(Path, reversed(points)) if path.is_relative_to(top)]


def unmount_below(folder: Path) -> None:
    """Undo every mount at or below a folder, at once even when something still uses it."""
    for point in mounted_below(folder):
        subprocess.run(["umount", "--lazy", str(point)], check=True, capture_output=True)


def _unescape(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
