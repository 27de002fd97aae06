"""What a server uses and does not take with it when it goes: volumes, floating IPs, primary IPs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

_MANAGED_BY: Final = "managed-by"
_CSI_DRIVER: Final = "csi-driver"
_CLAIM: Final = ("pvc-namespace", "pvc-name")
_NAME: Final = re.compile(r"pvc-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.ASCII)
"""How the CSI driver names a volume: early versions of it wrote no labels (docs/facts/hetzner-api.md#volumes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume of `size` GB; `server` is the id of the one that it is attached to."""

    id: int
    name: str
    size: int
    server: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    protected: bool = False

    @property
    def by_csi(self) -> bool:
        """Check whether a CSI driver made it, of whatever cluster."""
        return self.labels.get(_MANAGED_BY) == _CSI_DRIVER or _NAME.match(self.name) is not None

    @property
    def claim(self) -> str | None:
        """Return the claim (`namespace/name`) that it was made for, None where no label tells it."""
        told = [self.labels.get(label) for label in _CLAIM]
        return None if None in told else "/".join(map(str, told))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A public address of its own; `kind` is floating_ip or primary_ip, `server` the id of the one that it leads to.

    `goes_with_server` is true of what Hetzner deletes together with the server.
    """

    kind: str
    id: int
    name: str
    ip: str
    server: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    goes_with_server: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """All volumes and addresses of a project, of each kind sorted by id."""

    volumes: tuple[Volume, ...] = ()
    addresses: tuple[Address, ...] = ()

    def without_volume(self, volume_id: int) -> Belongings:
        """Return them without a volume that was deleted."""
        return replace(self, volumes=tuple(v for v in self.volumes if v.id != volume_id))
