"""A backup's folder: private, checked, and there only when it is whole."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path

from hetzner_k3s.adapters.system import BackupBundle
from hetzner_k3s.model.secrets import Secret


async def pieces() -> AsyncIterator[bytes]:
    for piece in (b"a snap", b"shot"):
        yield piece


def test_it_appears_whole_and_private(tmp_path: Path) -> None:
    bundle = BackupBundle(tmp_path / "new" / "backup")
    bundle.add("token", Secret("K10abc::server:pw"))
    assert asyncio.run(bundle.add_stream("snapshot", pieces())) == 10
    assert not (tmp_path / "new" / "backup").exists()
    folder = bundle.finish()
    assert {path.name for path in folder.iterdir()} == {"token", "snapshot", "SHA256SUMS"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    sums = (folder / "SHA256SUMS").read_text()
    assert f"{hashlib.sha256(b'a snapshot').hexdigest()}  snapshot\n" in sums


def test_one_that_was_given_up_leaves_nothing(tmp_path: Path) -> None:
    bundle = BackupBundle(tmp_path / "backup")
    bundle.add("token", Secret("K10abc::server:pw"))
    bundle.give_up()
    assert not list(tmp_path.iterdir())
