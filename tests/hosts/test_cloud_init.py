"""User data: what a first boot does, and what it must not hold."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hetzner_k3s.hosts.cloud_init import UserDataTooLong, user_data
from hetzner_k3s.model.contact import HostKeyPair
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


def test_commands_run_in_the_files_order_around_the_host_name() -> None:
    boot = BootSpec(pre_k3s_commands=("echo a", "echo b"), post_k3s_commands=("echo c",))
    assert rendered(boot=boot)["runcmd"] == ["echo a", "echo b", "hostnamectl set-hostname c-master1", "echo c"]


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
