"""A host's disk: an overlay over the shared root filesystem, and plain directories where an overlay will not do."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from hetzner_k3s.lab.cloud.effects.machines import MachineSpec
from hetzner_k3s.lab.realhosts.hosts.identity import write_identity
from hetzner_k3s.lab.realhosts.hosts.mounts import mount_overlay, unmount_below

# A real k3s puts an overlay of its own here, and overlays do not stack (docs/facts/lab.md#overlays).
NATIVE_DIRECTORIES = ("/var/lib/rancher", "/var/lib/kubelet")


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk of one host below `folder`; `lower` are the layers it lies on, topmost first.

    With `native`, NATIVE_DIRECTORIES are directories of the machine's own filesystem, bound into the host.
    """

    folder: Path
    lower: tuple[Path, ...]
    native: bool

    @property
    def root(self) -> Path:
        """Return the mounted root filesystem."""
        return self.folder / "root"

    @property
    def binds(self) -> list[tuple[Path, str]]:
        """List what to bind into the host: source, place."""
        places = NATIVE_DIRECTORIES if self.native else ()
        return [(self.folder / "native" / place.rsplit("/", 1)[1], place) for place in places]

    def make(self, spec: MachineSpec, boot_number: int) -> None:
        """Make and mount a fresh disk."""
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir(parents=True)
        for source, _ in self.binds:
            source.mkdir(parents=True)
        write_identity(self.folder / "upper", spec, boot_number)
        mount_overlay(self.lower, self.folder / "upper", self.folder / "work", self.root)

    def destroy(self) -> None:
        """Unmount and remove; an absent disk is success."""
        unmount_below(self.folder)
        if self.folder.exists():
            shutil.rmtree(self.folder)
