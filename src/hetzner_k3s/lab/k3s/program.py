"""Build the `k3s` program: one executable file of this package, run by the host's own Python."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

_PACKAGE = "hetzner_k3s.lab.k3s"
_SHEBANG = b"#!/usr/bin/python3\n"
_EPOCH = (2026, 1, 1, 0, 0, 0)
# Not needed on a host: the builder, and what stands for etcd in a simulation.
_LEFT_OUT = ("program.py", "etcd/model.py", "etcd/model_data.py", "etcd/model_peers.py")


def build(version: str) -> bytes:
    """Build the program for a release (`v1.36.3+k3s1`); equal sources give equal bytes.

    Args:
        version: what `k3s --version` says and what nodes register as.

    Returns:
        A zip archive behind a shebang line: write it with mode 0755.
    """
    buffer = io.BytesIO(_SHEBANG)
    buffer.seek(0, io.SEEK_END)
    root = Path(__file__).parent
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", (root / "stub.py").read_text() + _entry(version))
        for parent in ("hetzner_k3s", "hetzner_k3s/lab"):
            _add(archive, f"{parent}/__init__.py", "")
        for path in sorted(root.rglob("*.py")):
            inside = path.relative_to(root).as_posix()
            if inside not in _LEFT_OUT:
                _add(archive, f"{_PACKAGE.replace('.', '/')}/{inside}", path.read_text())
    return buffer.getvalue()


def _entry(version: str) -> str:
    return f'\n\nif __name__ == "__main__":\n    sys.exit(run({version!r}))\n'


def _add(archive: zipfile.ZipFile, name: str, text: str) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, text)
