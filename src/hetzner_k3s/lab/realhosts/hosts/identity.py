"""The files that make a fresh disk one particular server's."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hetzner_k3s.lab.cloud.effects.machines import MachineSpec
from hetzner_k3s.lab.realhosts.internet.place import name_lines


def write_identity(disk: Path, spec: MachineSpec, boot_number: int) -> None:
    """Write a server's identity below `disk` (an overlay's upper directory that is not yet mounted).

    `boot_number` counts a server's disks, so that a rebuilt host has another machine id, as a new image has.
    """
    for name, content in _files(spec, boot_number).items():
        path = disk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def _files(spec: MachineSpec, boot_number: int) -> dict[str, str]:
    uuid = hashlib.sha256(f"{spec.server_id}/{boot_number}".encode()).hexdigest()[:32]
    # cloud-init's Hetzner datasource wants this vendor, and a serial number equal to the instance id
    # (docs/facts/lab.md#cloud-init).
    dmi = {
        "system-manufacturer": "Hetzner",
        "system-product-name": "vServer",
        "system-serial-number": str(spec.server_id),
        "system-uuid": f"{uuid[:8]}-{uuid[8:12]}-4{uuid[13:16]}-8{uuid[17:20]}-{uuid[20:]}",
    }
    return {
        # Written here, systemd does not take the boot for a first one, which would preset every unit.
        "etc/machine-id": f"{uuid}\n",
        "etc/hostname": f"{spec.name}\n",
        # Hosts have no name server: these names lead to the lab.
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {spec.name}\n{name_lines()}",
        **{f"etc/lab-dmi/{key}": f"{value}\n" for key, value in dmi.items()},
    }
