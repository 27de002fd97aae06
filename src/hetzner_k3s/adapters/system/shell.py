"""A shell on a host, by the program `ssh`: it is given the one key that the host proved, and no setting of the user."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from hetzner_k3s.model.errors import LocalTrouble
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.spec import SshSpec


def open_shell(ssh: SshSpec, target: HostTarget, host_key: str) -> int:
    """Open a shell on a host at this terminal, and return the exit code of `ssh`.

    Args:
        ssh: the key that logs in, or that an agent holds it.
        target: the host.
        host_key: its public key, one line, as it was just proven.

    Raises:
        LocalTrouble: there is no such program here.
    """
    program = shutil.which("ssh")
    if program is None:
        raise LocalTrouble(
            "a shell needs the program `ssh`, which is not on this machine",
            hint="Install OpenSSH's client; a command needs none: hetzner-k3s ssh NAME -- CMD",
        )
    with tempfile.TemporaryDirectory(prefix="hetzner-k3s-ssh-") as folder:
        known = Path(folder) / "known_hosts"
        named = target.address if target.port == 22 else f"[{target.address}]:{target.port}"
        known.write_text(f"{named} {host_key}\n", encoding="utf-8")
        return subprocess.call([program, *_arguments(ssh, target, known)])


def _arguments(ssh: SshSpec, target: HostTarget, known: Path) -> Iterator[str]:
    settings = {
        "UserKnownHostsFile": f'"{known}"',
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlgorithms": "ssh-ed25519",
        "UpdateHostKeys": "no",
        "IdentitiesOnly": "yes",
    }
    yield from ("-F", "/dev/null", "-p", str(target.port), "-i", ssh.private_key_path or ssh.public_key_path)
    for name, value in settings.items():
        yield from ("-o", f"{name}={value}")
    yield f"root@{target.address}"
