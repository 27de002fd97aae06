"""A shell by the program `ssh`: what it is told, which key alone it knows, and what is said where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetzner_k3s.adapters.system.shell import open_shell
from hetzner_k3s.model.errors import LocalTrouble
from hetzner_k3s.model.hosts.contact import HostTarget
from hetzner_k3s.model.spec import SshSpec

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeUdLJrxLYw0tZ1xkV8fJ3Q1y0x3bJfGmZk"
PROGRAM = """\
#!/bin/sh
printf '%s\\n' "$@" >"$TOLD"
for word; do
    case $word in UserKnownHostsFile=*) eval "cat ${word#*=}" >"$TOLD.known" ;; esac
done
exit 7
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a program `ssh` first on the path that writes down what it was told."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(PROGRAM)
    (tmp_path / "bin/ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    return tmp_path / "told"


def opened(port: int = 22, private_key_path: str | None = "/home/me/my key") -> int:
    ssh = SshSpec(
        port=port,
        use_agent=private_key_path is None,
        use_private_ip=False,
        private_key_path=private_key_path,
        public_key_path="/home/me/my key.pub",
        public_key="ssh-ed25519 AAAA",
        existing_ssh_key_name=None,
    )
    return open_shell(ssh, HostTarget(server_id=1, name="m1", address="192.0.2.1", port=port, keys={}), HOST_KEY)


def test_it_knows_the_proven_key_alone_and_nothing_of_the_users_own(told: Path) -> None:
    assert opened() == 7
    words = told.read_text().splitlines()
    assert words[:6] == ["-F", "/dev/null", "-p", "22", "-i", "/home/me/my key"]
    assert words[-1] == "root@192.0.2.1"
    for setting in ("GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes"):
        assert words[words.index(setting) - 1] == "-o"
    assert (told.parent / "told.known").read_text() == f"192.0.2.1 {HOST_KEY}\n"


def test_another_port_is_named_as_ssh_looks_it_up(told: Path) -> None:
    opened(port=2222)
    assert (told.parent / "told.known").read_text() == f"[192.0.2.1]:2222 {HOST_KEY}\n"


def test_a_key_of_the_agent_is_named_by_its_public_half(told: Path) -> None:
    opened(private_key_path=None)
    words = told.read_text().splitlines()
    assert words[words.index("-i") + 1] == "/home/me/my key.pub"


def test_without_the_program_it_says_what_needs_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalTrouble, match="which is not on this machine") as trouble:
        opened()
    assert "ssh NAME -- CMD" in trouble.value.hint
