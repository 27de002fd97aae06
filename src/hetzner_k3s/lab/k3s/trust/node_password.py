"""Node passwords: the secret that ties a node name to the host that took it first.

See docs/facts/k3s.md#node-password.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from pathlib import Path

from hetzner_k3s.lab.k3s.api.resources import Obj
from hetzner_k3s.lab.k3s.setup import paths
from hetzner_k3s.lab.k3s.setup.paths import directory, write

REJECTED = (
    "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server "
    "node-passwd entry, try enabling a unique node name with the --with-node-id flag"
)
_COST, _BLOCK, _PARALLEL = 15, 8, 1


def secret_name(node: str) -> str:
    """Name the Secret in kube-system."""
    return f"{node}.node-password.k3s"


def of_host(path: Path = paths.NODE_PASSWORD) -> str:
    """Read this host's node password; make it when there is none."""
    if not path.exists():
        directory(path.parent, 0o755)
        write(path, secrets.token_hex(16) + "\n")
    return path.read_text().strip()


def _digest(password: str, salt: bytes) -> str:
    memory = 128 * (1 << _COST) * _BLOCK + (1 << 20)
    key = hashlib.scrypt(password.encode(), salt=salt, n=1 << _COST, r=_BLOCK, p=_PARALLEL, maxmem=memory, dklen=64)
    return base64.b64encode(key).decode().rstrip("=")


def hash_of(password: str) -> str:
    """Hash a node password as k3s stores it (fixture kube/node_password_secrets.json)."""
    salt = secrets.token_bytes(8)
    return f"$1:{salt.hex()}:{_COST}:{_BLOCK}:{_PARALLEL}:{_digest(password, salt)}"


def matches(stored: str, password: str) -> bool:
    """Check a password against a stored hash."""
    _, salt, _, _, _, digest = stored.split(":")
    return hmac.compare_digest(_digest(password, bytes.fromhex(salt)), digest)


def secret(node: str, password: str) -> Obj:
    """Make the Secret of a node."""
    data = {"hash": base64.b64encode(hash_of(password).encode()).decode()}
    metadata = {"name": secret_name(node), "namespace": "kube-system"}
    return {"metadata": metadata, "type": "k3s.cattle.io/node-password", "immutable": True, "data": data}


def stored_hash(secret_object: Obj) -> str:
    """Read the hash from a node's Secret."""
    return base64.b64decode(secret_object["data"]["hash"]).decode()
