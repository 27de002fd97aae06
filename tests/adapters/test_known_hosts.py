"""The host keys that this user's ssh knows hosts by."""

from __future__ import annotations

from pathlib import Path

import asyncssh
import pytest

from hetzner_k3s.adapters.system import known_hosts
from hetzner_k3s.model.hosts.contact import fingerprint_of, host_key_label


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> asyncssh.SSHKey:
    """Have a home with a known_hosts that names two hosts by this key, one of them on another port."""
    made = asyncssh.generate_private_key("ssh-ed25519")
    line = made.export_public_key().decode().strip()
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode().strip()
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    text = f"192.0.2.1 {line}\n192.0.2.1 {other}\n[192.0.2.2]:2222 {line}\n"
    (tmp_path / ".ssh/known_hosts").write_text(text)
    return made


def test_the_keys_of_an_address_are_found(key: asyncssh.SSHKey) -> None:
    label = host_key_label(key.public_data)
    assert known_hosts.keys_of("192.0.2.1", 22) == (label,)
    assert known_hosts.keys_of("192.0.2.2", 2222) == (label,)
    assert known_hosts.keys_of("192.0.2.3", 22) == ()
    assert fingerprint_of(label) == key.get_fingerprint()


def test_a_home_without_the_file_knows_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert known_hosts.keys_of("192.0.2.1", 22) == ()


def test_a_file_that_cannot_be_read_knows_nobody(key: asyncssh.SSHKey, tmp_path: Path) -> None:
    (tmp_path / ".ssh/known_hosts").write_text("\x00 not a line\n")
    assert known_hosts.keys_of("192.0.2.1", 22) == ()
    del key
