"""What `--restore PATH` may name: a backup or a snapshot file; whose it is it says itself."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given as hypothesis_given
from hypothesis import settings
from hypothesis import strategies as st
from tests.hosts.test_snapshot_scripts import NAME, UID, a_snapshot, zipped

from hetzner_k3s.adapters.system import BackupBundle, GivenSnapshot, read_given
from hetzner_k3s.adapters.system import given as adapter
from hetzner_k3s.model.consents import LATEST, Restore
from hetzner_k3s.model.errors import ProductError
from hetzner_k3s.model.secrets import Secret


def given(path: Path) -> GivenSnapshot:
    """Read what is there."""
    found = read_given(Restore(str(path)))
    assert found is not None
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a backup."""
    bundle = BackupBundle(tmp_path / "backup")
    bundle.add("token", Secret("K10ab::server:secret\n"))
    bundle.add("agent-token", Secret("K10ab::node:agents\n"))
    bundle.add("identity.json", Secret(json.dumps({"snapshot": NAME, "uid": UID})))
    written = bundle.finish()
    (written / NAME).write_bytes(a_snapshot())
    return written


def test_neither_the_newest_nor_a_name_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for consent in (None, LATEST, Restore(NAME)):
        assert read_given(consent) is None
    (tmp_path / NAME).write_bytes(a_snapshot())
    found = read_given(Restore(NAME))
    assert found is not None
    assert (found.file.given, found.tokens) == (Restore(NAME), ())


def test_a_backup_gives_its_snapshot_and_its_tokens(folder: Path) -> None:
    for path in (folder, folder / NAME):
        found = given(path)
        assert (found.file.name, found.file.cluster_uid, found.file.token_hashes) == (NAME, UID, ("0123456789ab",))
        assert [token.reveal() for token in found.tokens] == ["K10ab::server:secret", "K10ab::node:agents"]

    async def read() -> bytes:
        return b"".join([piece async for piece in given(folder).pieces()])

    assert asyncio.run(read()) == a_snapshot()


def test_a_file_called_token_beside_a_bare_snapshot_is_nobodys(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(a_snapshot())
    (tmp_path / "token").write_text("another's")
    assert given(tmp_path / NAME).tokens == ()


def test_a_snapshot_that_is_not_as_it_was_written_is_damaged(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text(f"{'00' * 32}  {NAME}\n")
    with pytest.raises(ProductError, match="damaged"):
        read_given(Restore(str(folder)))


@pytest.mark.parametrize("identity", ["", "[]", "{}"])
def test_a_folder_that_is_no_backup_is_told_apart(tmp_path: Path, identity: str) -> None:
    (tmp_path / "identity.json").write_text(identity)
    with pytest.raises(ProductError, match="no backup"):
        read_given(Restore(str(tmp_path)))


def test_what_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ProductError, match="cannot be read"):
        read_given(Restore(str(tmp_path / "nothing")))


def test_what_is_no_snapshot_is_nobodys(tmp_path: Path) -> None:
    for content in (b"", b"x" * 20, b"x" * 100, a_snapshot()[:-1]):
        (tmp_path / "file").write_bytes(content)
        assert given(tmp_path / "file").file.cluster_uid is None


def test_an_archive_of_k3s_is_looked_into(tmp_path: Path) -> None:
    zipped(tmp_path / f"{NAME}.zip", a_snapshot())
    assert given(tmp_path / f"{NAME}.zip").file.cluster_uid == UID
    whole = (tmp_path / f"{NAME}.zip").read_bytes()
    (tmp_path / "torn.zip").write_bytes(whole[:200] + bytes(200) + whole[400:])
    assert given(tmp_path / "torn.zip").file.cluster_uid is None


@pytest.mark.parametrize("name", ["SHA256SUMS", "token"])
def test_a_backup_whose_text_is_none_is_damaged(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ProductError, match="damaged"):
        read_given(Restore(str(folder)))


@pytest.mark.parametrize("named", ["5", "null", "[1]", '{"snapshot":5}', "[" * 100_000, '{"snapshot":"\\ud800"}'])
def test_an_identity_of_anything_is_no_bug(tmp_path: Path, named: str) -> None:
    (tmp_path / "identity.json").write_text(named)
    with pytest.raises(ProductError, match=r"backup|cannot be read"):
        read_given(Restore(str(tmp_path)))


@settings(max_examples=80, deadline=None)
@hypothesis_given(at=st.integers(0, 400), byte=st.integers(0, 255))
def test_an_archive_with_a_wrong_byte_is_read_or_nobodys(
    tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    path = tmp_path_factory.mktemp("wrong") / f"{NAME}.zip"
    zipped(path, a_snapshot())
    whole = path.read_bytes()
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    assert given(path).file.cluster_uid in (UID, None)
    path.write_bytes(whole[: -at - 1] + bytes([byte]) + whole[len(whole) - at :])
    assert given(path).file.cluster_uid in (UID, None)


def test_an_archive_that_unpacks_to_more_than_etcd_keeps_is_nobodys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "_UNPACKED_BYTES", 100)
    zipped(tmp_path / f"{NAME}.zip", a_snapshot())
    assert given(tmp_path / f"{NAME}.zip").file.cluster_uid is None


def test_whose_it_is_stands_close_behind_its_key_and_before_its_checksum(tmp_path: Path) -> None:
    def told(content: bytes) -> tuple[str | None, tuple[str, ...]]:
        (tmp_path / "s").write_bytes(content + hashlib.sha256(content).digest())
        return adapter._told(tmp_path / "s")

    key = b"/registry/namespaces/kube-system"
    near = b"-" * (400 - len(key) - len(UID))
    assert told(key + near + UID.encode()) == (UID, ())
    assert told(key + near + b"-" + UID.encode()) == (None, ())
    assert told(UID.encode()) == (None, ())
    assert told(b"/bootstrap/bbbbbbbbbbbb /bootstrap/aaaaaaaaaaaa") == (None, ("aaaaaaaaaaaa", "bbbbbbbbbbbb"))
    assert told(b"") == (None, ())
