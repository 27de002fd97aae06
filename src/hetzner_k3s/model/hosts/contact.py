"""Where a host is reached and by which keys it is known."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from hetzner_k3s.model import naming
from hetzner_k3s.model.cloud import Server
from hetzner_k3s.model.host import HostKeyKind
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import ClusterSpec

_KEY_LABELS = (
    (naming.LABEL_BOOT_KEY, HostKeyKind.BOOT),
    (naming.LABEL_HOST_KEY, HostKeyKind.FINAL),
    (naming.LABEL_HOST_KEY_NEXT, HostKeyKind.NEXT),
)


def host_key_label(blob: bytes) -> str:
    """Return the label value that stands for a public key blob: base32, lower case, unpadded, of its SHA-256."""
    return base64.b32encode(hashlib.sha256(blob).digest()).decode().rstrip("=").lower()


def fingerprint_of(label: str) -> str:
    """Return the fingerprint, as `ssh-keygen -l` prints it, of the host key that a label value stands for."""
    padded = label.upper() + "=" * (-len(label) % 8)
    try:
        digest = base64.b32decode(padded)
    except binascii.Error:
        return label
    return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


@dataclass(frozen=True, slots=True)
class HostKeyPair:
    """An SSH host key: private half in OpenSSH format, public line, and the label value of its blob's hash."""

    private_key: Secret
    public_key: str
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTarget:
    """A host to talk to: `keys` maps the label value of each acceptable host key to what it is.

    The label values are those of `host_key_label`. `address` and `port` are
    where its sshd listens.
    """

    server_id: int
    name: str
    address: str
    port: int
    keys: Mapping[str, HostKeyKind]


@dataclass(frozen=True, slots=True)
class PrivateIps:
    """The nodes reach each other in a private network: that of this id, None while it is not made."""

    network: int | None

    def of(self, server: Server) -> str | None:
        """Return the InternalIP of a server's Node, None while Hetzner has not given it one."""
        return server.private_ips.get(self.network) if self.network is not None else None


@dataclass(frozen=True, slots=True)
class PublicIps:
    """The nodes reach each other through the internet."""

    def of(self, server: Server) -> str | None:
        """Return the InternalIP of a server's Node, None while Hetzner has not given it one."""
        return server.public_ipv4


InternalIps = PrivateIps | PublicIps
"""At which of its addresses a server is a node to the others."""


def ssh_address(spec: ClusterSpec, server: Server, internal_ips: InternalIps) -> str | None:
    """Return the address at which a server's sshd is reached, or None while Hetzner has not given it one."""
    return internal_ips.of(server) if spec.ssh.use_private_ip else server.public_ipv4


def host_target(spec: ClusterSpec, server: Server, internal_ips: InternalIps) -> HostTarget | None:
    """Return how a server is reached, or None while Hetzner has not given it an address."""
    address = ssh_address(spec, server, internal_ips)
    if address is None:
        return None
    keys = {server.labels[label]: kind for label, kind in _KEY_LABELS if label in server.labels}
    return HostTarget(server_id=server.id, name=server.name, address=address, port=spec.ssh.port, keys=keys)
