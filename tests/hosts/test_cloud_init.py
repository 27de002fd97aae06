"""User data: what a first boot does, and what it must not hold."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.hosts.cloud_init import AFTER_K3S_PATH, COMMANDS_PATH, UserDataTooLong, user_data
from hetzner_k3s.model.hosts.contact import HostKeyPair
from hetzner_k3s.model.secrets import Secret
from hetzner_k3s.model.spec import BootSpec, ClusterSpec, MasterSpec, SshSpec
from hetzner_k3s.model.version import K3sVersion

KEY = HostKeyPair(private_key=Secret("-----BEGIN\nboot\n-----END\n"), public_key="ssh-ed25519 AAAA", label="abc")
PLAIN = BootSpec()
MASTER = MasterSpec(name="c-master1", index=1, location="fsn1", instance_type="cpx22", image="debian-12")
SPEC = ClusterSpec(
    name="c",
    hetzner_token=Secret("hetzner-token"),
    kubeconfig_path="/k",
    k3s_version=K3sVersion.parse("v1.36.3+k3s1"),
    masters=(MASTER,),
    ssh=SshSpec(private_key_path=None, public_key_path="/p", public_key="ssh-ed25519 AAAA"),
)


def rendered(spec: ClusterSpec = SPEC, boot: BootSpec = PLAIN) -> dict[str, Any]:
    text = user_data(spec, replace(MASTER, boot=boot), KEY)
    assert text.startswith("#cloud-config\n")
    document: dict[str, Any] = json.loads(text.removeprefix("#cloud-config\n"))
    return document


def paths(document: dict[str, Any]) -> list[str]:
    return [file["path"] for file in document["write_files"]]


def test_the_boot_key_is_the_only_secret() -> None:
    document = rendered()
    assert document["ssh_keys"] == {"ed25519_private": KEY.private_key.reveal(), "ed25519_public": KEY.public_key}
    assert document["ssh_deletekeys"] is True
    assert "hetzner-token" not in json.dumps(document)


def test_no_package_is_installed_unless_the_file_asks() -> None:
    assert not {"packages", "package_update"} & rendered().keys()
    assert rendered(boot=BootSpec(packages=("htop",)))["packages"] == ["htop"]


def test_the_download_starts_once_an_instance_and_early() -> None:
    (command,) = rendered()["bootcmd"]
    assert command[:3] == ["cloud-init-per", "instance", "hetzner-k3s-download"]
    assert command[-1] == "v1.36.3+k3s1"


def _files(document: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["content"] for file in document["write_files"]}


def test_commands_before_k3s_run_at_the_first_boot_and_those_after_it_wait_for_k3s() -> None:
    boot = BootSpec(pre_k3s_commands=("echo a", "echo b"), post_k3s_commands=("echo c",))
    document = rendered(boot=boot)
    commands, after = document["runcmd"], _files(document)[AFTER_K3S_PATH]
    assert [c for c in commands if c.startswith(("echo", "hostnamectl"))] == [
        *("echo a", "echo b", "hostnamectl set-hostname c-master1")
    ]
    assert "systemctl enable --now --no-block hetzner-k3s-after-k3s.service" in commands[-1]
    assert after.index("until {") < after.index("\necho c\n") < after.index(f": >{COMMANDS_PATH}/ended")
    unit = _files(document)["/etc/systemd/system/hetzner-k3s-after-k3s.service"]
    assert f"ConditionPathExists=!{COMMANDS_PATH}/ended" in unit
    assert rendered()["runcmd"] == ["hostnamectl set-hostname c-master1"]
    assert AFTER_K3S_PATH not in paths(rendered())


def _run(lines: list[str], root: Path) -> str:
    """Run commands as cloud-init does, in one shell below a folder; give what was noted of failures."""
    text = "\n".join(lines).replace(COMMANDS_PATH, str(root)).replace("hostnamectl", "echo hostnamectl")
    subprocess.run(["sh", "-c", text], check=False, capture_output=True)
    noted = root / "failed"
    return noted.read_text() if noted.exists() else ""


def test_a_command_that_fails_is_noted_with_its_last_lines_and_stops_none_after_it(tmp_path: Path) -> None:
    failing = "echo 'no such disk' >&2; sh -c 'exit 3' # --password secret"
    boot = BootSpec(pre_k3s_commands=("cd /tmp && kept=1", failing, 'echo "$kept in $PWD"', "false"))
    noted = _run(rendered(boot=boot)["runcmd"], tmp_path)
    assert noted.splitlines() == [
        "additional_pre_k3s_commands 2 of 4 failed (exit 3): no such disk ",
        "additional_pre_k3s_commands 4 of 4 failed (exit 1): no such disk 1 in /tmp ",
    ]
    log = (tmp_path / "additional_pre_k3s_commands.log").read_text()
    assert log.splitlines() == ["no such disk", "1 in /tmp", "hostnamectl set-hostname c-master1"]
    assert "secret" not in noted


def test_a_command_that_ends_the_shell_is_noted(tmp_path: Path) -> None:
    boot = BootSpec(pre_k3s_commands=("echo going; exit 4", "echo never"))
    noted = _run(rendered(boot=boot)["runcmd"], tmp_path)
    assert noted.startswith("additional_pre_k3s_commands 1 of 2, or one before it, failed (exit 4): going")


def test_commands_that_work_leave_no_note(tmp_path: Path) -> None:
    assert _run(rendered(boot=BootSpec(pre_k3s_commands=("true", "echo well")))["runcmd"], tmp_path) == ""


def test_another_ssh_port_is_told_to_sshd_and_to_its_socket() -> None:
    assert "/etc/systemd/system/ssh.socket.d/listen.conf" not in paths(rendered())
    document = rendered(replace(SPEC, ssh=replace(SPEC.ssh, port=2222)))
    contents = {file["path"]: file["content"] for file in document["write_files"]}
    assert "Port 2222\n" in contents["/etc/ssh/sshd_config.d/10-hetzner-k3s.conf"]
    assert "ListenStream=2222\n" in contents["/etc/systemd/system/ssh.socket.d/listen.conf"]
    assert any("restart" in command for command in document["runcmd"])


def test_the_root_partition_is_grown_unless_the_file_forbids() -> None:
    assert "growpart" not in rendered()
    document = rendered(boot=BootSpec(grow_root_partition=False))
    assert document["growpart"] == {"mode": "off"}
    assert document["resize_rootfs"] is False
    assert "/etc/growroot-disabled" in paths(document)


def test_too_much_is_refused_with_the_servers_name() -> None:
    with pytest.raises(UserDataTooLong, match="c-master1"):
        rendered(boot=BootSpec(pre_k3s_commands=("x" * 33_000,)))


def test_a_character_takes_no_more_of_the_room_than_it_has_to() -> None:
    """Hetzner takes 32 KiB; and YAML reads no pair of escapes as one character."""
    text = user_data(SPEC, replace(MASTER, boot=BootSpec(pre_k3s_commands=("echo grüße 😀",))), KEY)
    assert "echo grüße 😀" in text
