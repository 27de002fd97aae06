"""Renders a server's user data: what cloud-init does at the first boot.

No secret is in it but the boot host key, which is worthless after the first contact (docs/architecture.md#host-keys).
No package is installed unless the file asks for some: apt is the slowest part of a boot, so neither fail2ban nor
WireGuard's tools are there (the kernel has WireGuard, and SSH takes keys only).
"""

from __future__ import annotations

import json
import shlex
from typing import Any, Final

from hetzner_k3s.hosts.shell import script
from hetzner_k3s.hosts.units import DOWNLOAD_PATH
from hetzner_k3s.model.errors import ExitCode, ProductError
from hetzner_k3s.model.hosts.contact import HostKeyPair
from hetzner_k3s.model.spec import ClusterSpec, ServerSpec

USER_DATA_LIMIT: Final = 32 * 1024
"""Bytes that Hetzner takes (docs/facts/hetzner-api.md#user-data)."""

_START_DOWNLOAD: Final = """\
umask 022; mkdir -p "${2%/*}"; printf %s "$1" >"$2"; chmod 0755 "$2"
exec systemd-run --quiet --no-block --collect --unit=hetzner-k3s-download --property=DefaultDependencies=no "$2" "$3"
"""
"""A unit of its own from the network stage on: it must neither wait for the boot to end nor hold it up."""


COMMANDS_PATH: Final = "/var/lib/hetzner-k3s/commands"
AFTER_K3S_PATH: Final = "/usr/local/lib/hetzner-k3s/after-k3s"
_AFTER_K3S_UNIT: Final = "hetzner-k3s-after-k3s.service"
_UNIT: Final = f"""\
[Unit]
Description=additional_post_k3s_commands of the cluster's file
ConditionPathExists=!{COMMANDS_PATH}/ended

[Service]
ExecStart=/bin/sh {AFTER_K3S_PATH}

[Install]
WantedBy=multi-user.target
"""


class UserDataTooLong(ProductError):
    """The commands and packages of the file do not fit into what Hetzner takes."""

    exit_code = ExitCode.USAGE


def user_data(spec: ClusterSpec, server: ServerSpec, boot_key: HostKeyPair) -> str:
    """Render the user data of one server; JSON, which is YAML.

    `pre_k3s_commands` run at the end of the first boot, `post_k3s_commands` when k3s was started, as 2.6 runs them at
    the end of its installation, but once a server. What fails is noted on the host (`scripts/note_failures.sh`).

    Raises:
        UserDataTooLong: it has more than 32 KiB.
    """
    config = {
        "ssh_deletekeys": True,
        "ssh_keys": {"ed25519_private": boot_key.private_key.reveal(), "ed25519_public": boot_key.public_key},
        "preserve_hostname": True,
        "bootcmd": [_download(str(spec.k3s_version))],
        "write_files": _files(spec, server),
        "runcmd": _commands(spec, server),
        **_packages(server),
        **_root_partition(server),
    }
    text = "#cloud-config\n" + json.dumps(config, indent=1, ensure_ascii=False) + "\n"
    if len(text.encode()) > USER_DATA_LIMIT:
        raise UserDataTooLong(
            f"{server.name}: the user data has {len(text.encode())} bytes, Hetzner takes {USER_DATA_LIMIT}",
            hint="Have additional_pre_k3s_commands and additional_post_k3s_commands fetch a script instead.",
        )
    return text


def _download(version: str) -> list[str]:
    """Return the boot command that starts the download of k3s; once an instance, since bootcmd runs at every boot."""
    download = ["sh", "-c", _START_DOWNLOAD, "download-k3s", script("download_k3s"), DOWNLOAD_PATH, version]
    return ["cloud-init-per", "instance", "hetzner-k3s-download", *download]


def _files(spec: ClusterSpec, server: ServerSpec) -> list[dict[str, Any]]:
    sshd = f"Port {spec.ssh.port}\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    files = [{"path": "/etc/ssh/sshd_config.d/10-hetzner-k3s.conf", "content": sshd}]
    if spec.ssh.port != 22:
        # Ubuntu's sshd is started by a socket, which takes its port from here.
        socket = f"[Socket]\nListenStream=\nListenStream={spec.ssh.port}\n"
        files.append({"path": "/etc/systemd/system/ssh.socket.d/listen.conf", "content": socket})
    if not server.boot.grow_root_partition:
        files.append({"path": "/etc/growroot-disabled", "content": ""})
    return [*files, *_after_k3s(server.boot.post_k3s_commands)]


def _after_k3s(commands: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the script that waits for k3s and then runs the commands, and its unit."""
    if not commands:
        return []
    lines = (script("await_any_k3s"), *_noted("additional_post_k3s_commands", commands), f": >{COMMANDS_PATH}/ended")
    return [
        {"path": AFTER_K3S_PATH, "content": "\n".join(lines) + "\n", "permissions": "0700"},
        {"path": f"/etc/systemd/system/{_AFTER_K3S_UNIT}", "content": _UNIT},
    ]


def _noted(key: str, commands: tuple[str, ...]) -> list[str]:
    """Return the commands as lines of one shell, each followed by a look at how it ended."""
    lines = [f"hetzner_k3s_log={COMMANDS_PATH}/{key}.log", script("note_failures")]
    for number, command in enumerate(commands, 1):
        which = f"{key} {number} of {len(commands)}"
        lines += [f"hetzner_k3s_which={shlex.quote(which)}", command, 'hetzner_k3s_failed $? "$hetzner_k3s_which"']
    return [*lines, "trap - EXIT"]


def _commands(spec: ClusterSpec, server: ServerSpec) -> list[str]:
    boot = server.boot
    before = _noted("additional_pre_k3s_commands", boot.pre_k3s_commands) if boot.pre_k3s_commands else []
    commands = [*before, shlex.join(("hostnamectl", "set-hostname", server.name))]
    if spec.ssh.port != 22:
        commands.append("systemctl daemon-reload; systemctl try-restart ssh.socket ssh.service sshd.service || true")
    if boot.post_k3s_commands:
        commands.append(f"systemctl daemon-reload; systemctl enable --now --no-block {_AFTER_K3S_UNIT}")
    return commands


def _packages(server: ServerSpec) -> dict[str, Any]:
    if not server.boot.packages:
        return {}
    return {"package_update": True, "packages": list(server.boot.packages)}


def _root_partition(server: ServerSpec) -> dict[str, Any]:
    return {} if server.boot.grow_root_partition else {"growpart": {"mode": "off"}, "resize_rootfs": False}
