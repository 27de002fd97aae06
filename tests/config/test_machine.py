"""What the file refers to on the user's machine: token, paths, keys."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from inline_snapshot import snapshot

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import ConfigFile

Load = Callable[..., ConfigFile]


def _messages(load: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load()
    return [f"{found.key}: {found.message}" for found in caught.value.diagnostics]


def test_the_token_of_the_file_wins_over_the_environment(load_text: Load, minimal: dict[str, Any]) -> None:
    assert load_text(minimal).spec.hetzner_token.reveal() == "token-of-the-environment"
    assert load_text(minimal | {"hetzner_token": ""}).spec.hetzner_token.reveal() == "token-of-the-environment"
    spec = load_text(minimal | {"hetzner_token": "token-of-the-file"}).spec
    assert spec.hetzner_token.reveal() == "token-of-the-file"
    assert "token-of-the-file" not in repr(spec)


def test_no_token_at_all(load_text: Load, minimal: dict[str, Any]) -> None:
    assert _messages(lambda: load_text(minimal, HCLOUD_TOKEN="  ")) == snapshot(
        ["hetzner_token: is required: give it here or in the environment variable HCLOUD_TOKEN"]
    )


@pytest.mark.parametrize("token", ["a\nb", "caf\u00e9"])
def test_a_token_that_no_request_could_carry(token: str, load_text: Load, minimal: dict[str, Any]) -> None:
    (message,) = _messages(lambda: load_text(minimal | {"hetzner_token": token}))
    assert message == "hetzner_token: is no API token: it has characters that no token has"


def test_paths_start_at_home_or_here(
    load_text: Load, minimal: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = load_text(minimal | {"kubeconfig_path": "~/a/kubeconfig"}).spec
    assert spec.kubeconfig_path == f"{home}/a/kubeconfig"
    assert spec.ssh.private_key_path == f"{home}/.ssh/id_rsa"
    assert spec.ssh.public_key.startswith("ssh-ed25519 ")
    assert load_text(minimal).spec.kubeconfig_path == f"{tmp_path}/kubeconfig"


def test_the_same_file_finds_its_keys_from_every_directory(
    load_text: Load, minimal: dict[str, Any], home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`status` ended with 2 in every directory but one."""
    folder = load_text(minimal).path.absolute().parent
    for name in ("id_rsa", "id_rsa.pub"):
        (folder / name).write_bytes((home / ".ssh" / name).read_bytes())
    ssh = {"private_key_path": "./id_rsa", "public_key_path": "id_rsa.pub"}
    monkeypatch.chdir("/")
    spec = load_text(minimal | {"networking": {**minimal.get("networking", {}), "ssh": ssh}}).spec
    assert Path(spec.ssh.private_key_path or "").samefile(folder / "id_rsa")
    assert Path(spec.ssh.public_key_path).samefile(folder / "id_rsa.pub")


def test_a_tilde_without_a_home(load_text: Load, minimal: dict[str, Any]) -> None:
    messages = _messages(lambda: load_text(minimal | {"kubeconfig_path": "~/k"}, HOME=""))
    assert "kubeconfig_path: starts with ~, but the environment variable HOME is not set" in messages


def test_keys_that_are_not_there(load_text: Load, minimal: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "no-key.pub").write_text("hello\n")
    ssh = {"private_key_path": f"{tmp_path}/none", "public_key_path": f"{tmp_path}/none.pub"}
    messages = _messages(lambda: load_text(minimal | {"networking": {"ssh": ssh}}))
    assert messages == [
        f"networking.ssh.private_key_path: there is no private key at {tmp_path}/none "
        "(use_agent: true takes it from the SSH agent)",
        f"networking.ssh.public_key_path: cannot read {tmp_path}/none.pub: No such file or directory",
    ]
    ssh = {"public_key_path": f"{tmp_path}/no-key.pub"}
    (message,) = _messages(lambda: load_text(minimal | {"networking": {"ssh": ssh}}))
    assert message.endswith("no-key.pub is no OpenSSH public key of one line")
    ssh = {"public_key_path": str(tmp_path)}
    (message,) = _messages(lambda: load_text(minimal | {"networking": {"ssh": ssh}}))
    assert message.endswith("Is a directory")


def test_an_agent_needs_no_private_key_file(load_text: Load, minimal: dict[str, Any]) -> None:
    ssh = {"use_agent": True, "private_key_path": "/nowhere"}
    assert load_text(minimal | {"networking": {"ssh": ssh}}).spec.ssh.private_key_path is None


def _protected(public: bytes) -> str:
    """Write what `ssh-keygen -N` makes, as far as it can be read without the passphrase."""
    kdf = b"".join(len(part).to_bytes(4, "big") + part for part in (bytes(16),)) + (16).to_bytes(4, "big")
    parts = [len(part).to_bytes(4, "big") + part for part in (b"aes256-ctr", b"bcrypt", kdf)]
    secret = bytes(64)
    body = b"openssh-key-v1\0" + b"".join(parts) + (1).to_bytes(4, "big")
    body += b"".join(len(part).to_bytes(4, "big") + part for part in (public, secret))
    text = base64.encodebytes(body).decode()
    return f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n"


def _pair(folder: Path, *, passphrase: str | None = None, pem: bool = False) -> dict[str, str]:
    key = (
        asyncssh.generate_private_key("ssh-rsa", key_size=2048) if pem else asyncssh.generate_private_key("ssh-ed25519")
    )
    folder.mkdir()
    key.write_private_key(folder / "id", "pkcs1-pem" if pem else "openssh", passphrase if pem else None)
    if passphrase and not pem:
        (folder / "id").write_text(_protected(key.public_data))
    key.write_public_key(folder / "id.pub")
    return {"private_key_path": f"{folder}/id", "public_key_path": f"{folder}/id.pub"}


@pytest.mark.parametrize("pem", [False, True])
def test_a_key_pair_that_does_not_match_is_refused(
    pem: bool, load_text: Load, minimal: dict[str, Any], tmp_path: Path
) -> None:
    one, other = _pair(tmp_path / "one", pem=pem), _pair(tmp_path / "other", pem=pem)
    assert load_text(minimal | {"networking": {"ssh": one}}).spec.ssh.private_key_path == one["private_key_path"]
    mixed = {**one, "public_key_path": other["public_key_path"]}
    (message,) = _messages(lambda: load_text(minimal | {"networking": {"ssh": mixed}}))
    assert message.startswith(f"networking.ssh.private_key_path: {one['private_key_path']} does not belong to the pub")


@pytest.mark.parametrize("pem", [False, True])
def test_an_encrypted_key_needs_the_agent(pem: bool, load_text: Load, minimal: dict[str, Any], tmp_path: Path) -> None:
    ssh = _pair(tmp_path / "keys", passphrase="secret", pem=pem)
    (message,) = _messages(lambda: load_text(minimal | {"networking": {"ssh": ssh}}))
    assert message.endswith("load it into the SSH agent and set networking.ssh.use_agent: true")
    assert load_text(minimal | {"networking": {"ssh": ssh | {"use_agent": True}}}).spec.ssh.use_agent


def test_a_public_key_in_the_place_of_the_private_one(load_text: Load, minimal: dict[str, Any], tmp_path: Path) -> None:
    ssh = _pair(tmp_path / "keys")
    swapped = {**ssh, "private_key_path": ssh["public_key_path"]}
    (message,) = _messages(lambda: load_text(minimal | {"networking": {"ssh": swapped}}))
    assert message.endswith("id.pub is a public key: expected the private one")


def test_a_kubeconfig_path_that_is_a_directory(load_text: Load, minimal: dict[str, Any], tmp_path: Path) -> None:
    (message,) = _messages(lambda: load_text(minimal | {"kubeconfig_path": str(tmp_path)}))
    assert message == f"kubeconfig_path: {tmp_path} is a directory; expected the path of a file to write"


def test_nothing_is_taken_from_the_process_environment(
    load_text: Load, minimal: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HCLOUD_TOKEN", "of-the-process")
    assert os.environ["HCLOUD_TOKEN"] != load_text(minimal).spec.hetzner_token.reveal()
