"""Where k3s keeps its files (docs/facts/k3s.md#files)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CONFIG_FILE = Path("/etc/rancher/k3s/config.yaml")
KUBECONFIG = Path("/etc/rancher/k3s/k3s.yaml")
NODE_PASSWORD = Path("/etc/rancher/node/password")
DEFAULT_DATA_DIR = Path("/var/lib/rancher/k3s")


@dataclass(frozen=True, slots=True)
class Layout:
    """The tree below one data directory."""

    root: Path = DEFAULT_DATA_DIR

    @property
    def server(self) -> Path:
        """What only servers have."""
        return self.root / "server"

    @property
    def agent(self) -> Path:
        """What servers and agents have."""
        return self.root / "agent"

    @property
    def tls(self) -> Path:
        """Certificates and keys of the control plane."""
        return self.server / "tls"

    @property
    def etcd_tls(self) -> Path:
        """Certificates and keys of etcd."""
        return self.tls / "etcd"

    @property
    def cred(self) -> Path:
        """Passwords and kubeconfigs of the components."""
        return self.server / "cred"

    @property
    def db(self) -> Path:
        """The datastore and what surrounds it."""
        return self.server / "db"

    @property
    def etcd(self) -> Path:
        """etcd's data directory."""
        return self.db / "etcd"

    @property
    def wal(self) -> Path:
        """Its presence is what makes a server an existing member."""
        return self.etcd / "member" / "wal"

    @property
    def backend(self) -> Path:
        """The member's bbolt database."""
        return self.etcd / "member" / "snap" / "db"

    @property
    def member_name(self) -> Path:
        """The file with this member's name, `<node>-<8 hex>`."""
        return self.etcd / "name"

    @property
    def tombstone(self) -> Path:
        """Written when this member was removed while it ran."""
        return self.etcd / "tombstone"

    @property
    def reset_flag(self) -> Path:
        """Written by `--cluster-reset`, removed by the next normal start."""
        return self.db / "reset-flag"

    @property
    def snapshots(self) -> Path:
        """Local snapshots."""
        return self.db / "snapshots"

    @property
    def token(self) -> Path:
        """The full K10 token; `node-token` links to it, and so does `agent-token` where agents have none."""
        return self.server / "token"

    @property
    def passwd(self) -> Path:
        """The password file the supervisor checks basic authentication against."""
        return self.cred / "passwd"


def directory(path: Path, mode: int = 0o700) -> Path:
    """Make a directory (parents too) with this mode, or set the mode of an existing one."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    return path


def write(path: Path, content: str | bytes, mode: int = 0o600) -> None:
    """Write a file with this mode, replacing it as a whole so that nobody reads half of it."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
    temporary.replace(path)


def link(path: Path, target: Path) -> None:
    """Make a symbolic link, replacing what is there."""
    path.unlink(missing_ok=True)
    path.symlink_to(target)
