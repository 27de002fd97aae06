"""What a simulated snapshot is as a file: bytes that go from a host to an operator's machine and back."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
from functools import lru_cache

from hetzner_k3s.lab.k3s.api.resources import NAMESPACES
from hetzner_k3s.lab.k3s.etcd.model_data import Snapshot as Backend
from hetzner_k3s.lab.k3s.etcd.port import KeyValue

_MAGIC = b"simulated etcd snapshot\n"
_HEAD, _ROW = struct.Struct(">QI"), struct.Struct(">IIQ")
_SUM = 32
_SEALED = "/bootstrap/"
"""Begins the key under which k3s keeps its authorities, sealed with the token (docs/facts/k3s.md#bootstrap-key)."""


def size(backend: Backend) -> int:
    """Return the size of the file in bytes, without writing it."""
    rows = sum(_ROW.size + len(entry.key.encode()) + len(entry.value) for entry in backend.keys)
    return len(_MAGIC) + _HEAD.size + rows + _SUM


@lru_cache(maxsize=64)
def encode(backend: Backend) -> bytes:
    """Write a backend as a file that ends with its checksum."""
    parts = [_MAGIC, _HEAD.pack(backend.revision, len(backend.keys))]
    for entry in backend.keys:
        key = entry.key.encode()
        parts += [_ROW.pack(len(key), len(entry.value), entry.mod_revision), key, entry.value]
    text = b"".join(parts)
    return text + hashlib.sha256(text).digest()


def decode(content: bytes) -> Backend | None:
    """Read a file, or the archive that k3s makes of one; None where it is damaged or something else."""
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            content = archive.read(archive.namelist()[0])
    text, told = content[:-_SUM], content[-_SUM:]
    if not text.startswith(_MAGIC) or hashlib.sha256(text).digest() != told:
        return None
    revision, count = _HEAD.unpack_from(text, len(_MAGIC))
    at, keys = len(_MAGIC) + _HEAD.size, []
    for _ in range(count):
        key_size, value_size, changed = _ROW.unpack_from(text, at)
        at += _ROW.size
        key, value = text[at : at + key_size].decode(), text[at + key_size : at + key_size + value_size]
        keys.append(KeyValue(key, value, changed))
        at += key_size + value_size
    return Backend(revision, tuple(keys))


def uid_of(backend: Backend) -> str | None:
    """Return the UID of the namespace kube-system."""
    key = NAMESPACES.key("", "kube-system")
    found = next((entry for entry in backend.keys if entry.key == key), None)
    return str(json.loads(found.value)["metadata"]["uid"]) if found else None


def tokens_of(backend: Backend) -> tuple[str, ...]:
    """Return the hashes of the tokens under which the keys are sealed."""
    found = (entry.key for entry in backend.keys if entry.key.startswith(_SEALED))
    return tuple(key.removeprefix(_SEALED) for key in found)
