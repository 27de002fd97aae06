"""The bootstrap data: the cluster's authorities and passwords as they travel to joiners and lie encrypted in etcd."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hetzner_k3s.lab.k3s.setup.paths import Layout, directory, write
from hetzner_k3s.lab.k3s.trust import pki, tokens

OTHER_TOKEN = "bootstrap data already found and encrypted with different token"
NO_DATA = "no bootstrap data found in datastore - check server token value and verify datastore integrity"

NO_INDEX = "failed to create temporary datastore client: failed to read consistent index"
"""Of a datastore whose etcd was killed before it had committed anything (fixture second/18)."""

# A file on disk that is this much newer than the datastore's copy is taken for a change that would break the cluster.
SKEW = 3.0


class BootstrapError(ValueError):
    """The datastore's bootstrap data cannot be used; the text is k3s'."""


@dataclass(frozen=True, slots=True)
class File:
    """One file of the bundle; `changed` is its modification time in seconds since the epoch."""

    content: bytes
    changed: float


def _files(layout: Layout) -> dict[str, str]:
    named = {"IPSECKey": "cred/ipsec.psk", "PasswdFile": "cred/passwd", "ServiceKey": "tls/service.key"}
    for name, (file, _) in pki.AUTHORITIES.items():
        named[name] = f"tls/{file}.crt"
        named[f"{name}Key"] = f"tls/{file}.key"
    return {name: str(layout.server / file) for name, file in sorted(named.items())}


def read(layout: Layout) -> dict[str, File]:
    """Collect the bundle from disk."""
    bundle = {}
    for name, file in _files(layout).items():
        path = layout.server / file
        if path.exists():
            bundle[name] = File(path.read_bytes(), path.stat().st_mtime)
    return bundle


def encode(bundle: dict[str, File]) -> bytes:
    """Render a bundle as `/v1-k3s/server-bootstrap` answers it."""
    document = {
        name: {"Timestamp": _stamp(file.changed), "Content": base64.b64encode(file.content).decode()}
        for name, file in bundle.items()
    }
    return json.dumps(document, separators=(",", ":")).encode()


def _stamp(seconds: float) -> str:
    # Nanoseconds do not survive: files are compared with three seconds of slack.
    return f"{seconds:.3f}"


def decode(data: bytes) -> dict[str, File]:
    """Read what `encode` wrote."""
    document: dict[str, Any] = json.loads(data)
    return {name: File(base64.b64decode(row["Content"]), float(row["Timestamp"])) for name, row in document.items()}


def _cipher(password: str, salt: str) -> AESGCM:
    return AESGCM(hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), 4096, 32))


def encrypt(password: str, data: bytes) -> bytes:
    """Seal bootstrap data with the cluster's password: `<salt>:<base64 of nonce and AES-GCM text>`."""
    salt, nonce = secrets.token_hex(8), secrets.token_bytes(12)
    sealed = nonce + _cipher(password, salt).encrypt(nonce, data, None)
    return f"{salt}:".encode() + base64.b64encode(sealed)


def decrypt(password: str, value: bytes) -> bytes:
    """Open sealed bootstrap data.

    Raises:
        BootstrapError: another password sealed it.
    """
    salt, _, text = value.decode().partition(":")
    sealed = base64.b64decode(text)
    try:
        return _cipher(password, salt).decrypt(sealed[:12], sealed[12:], None)
    except InvalidTag as problem:
        raise BootstrapError(OTHER_TOKEN) from problem


def from_store(entries: dict[str, bytes], password: str) -> dict[str, File]:
    """Find and open this password's bundle among the datastore's `/bootstrap/` keys.

    Raises:
        BootstrapError: there is none, or only one of another token.
    """
    value = entries.get(tokens.storage_key(password))
    if value is None:
        raise BootstrapError(OTHER_TOKEN if entries else NO_DATA)
    return decode(decrypt(password, value))


def newer_on_disk(disk: dict[str, File], stored: dict[str, File], slack: float = SKEW) -> list[str]:
    """Name the files that differ from the datastore and are newer there: leftovers that would break the cluster."""
    return [
        name
        for name, file in stored.items()
        if name in disk and disk[name].content != file.content and disk[name].changed - file.changed >= slack
    ]


def newest(one: dict[str, File], other: dict[str, File]) -> dict[str, File]:
    """Join two copies of the bundle: of each file the one that was changed last."""
    newer = {n: file for n, file in other.items() if n not in one or file.changed > one[n].changed}
    return one | newer


def newer_message(layout: Layout, names: list[str]) -> str:
    """Return the text k3s exits with when files on disk are newer than the datastore."""
    files = ", ".join(_files(layout)[name] for name in names)
    return (
        f"{files} newer than datastore and could cause a cluster outage. "
        "Remove the file(s) from disk and restart to be recreated from datastore."
    )


def install(layout: Layout, bundle: dict[str, File]) -> None:
    """Write a bundle's files to disk where they differ."""
    for name, path in _files(layout).items():
        file, target = bundle.get(name), layout.server / path
        if file is None or (target.exists() and target.read_bytes() == file.content):
            continue
        directory(target.parent, 0o755 if target.parent == layout.etcd_tls else 0o700)
        write(target, file.content, 0o644 if path.endswith(".crt") else 0o600)
