"""The files that the operation Install puts on a host: unit, start guard, download script, resolver, registries.

The units are those of k3s' own installer (recorded in host/etc_files_server.txt and host/etc_files_agent.txt); the
server's has a start guard before it and takes the permit of a birth (docs/architecture.md#bootstrap).
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hetzner_k3s.hosts.k3s_config import CONFIG_PATH, REGISTRIES_PATH, RESOLV_CONF
from hetzner_k3s.hosts.shell import script
from hetzner_k3s.model.hosts.host_config import RESOLV_CONF_PATH
from hetzner_k3s.model.operations.configuration import Install, Reconfigure
from hetzner_k3s.model.operations.operation import K3sRole

UNIT_NAMES: Final = {K3sRole.SERVER: "k3s", K3sRole.AGENT: "k3s-agent"}
DOWNLOAD_PATH: Final = "/usr/local/lib/hetzner-k3s/download-k3s"
GUARD_PATH: Final = "/usr/local/lib/hetzner-k3s/start-guard"
PERMIT_PATH: Final = "/run/hetzner-k3s/birth"
_SERVER_LINES: Final = f"""\
EnvironmentFile=-{PERMIT_PATH}
ExecStartPre={GUARD_PATH}
ExecStartPost=-/bin/rm -f {PERMIT_PATH}
"""

_UNIT: Final = """\
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Install]
WantedBy=multi-user.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
EnvironmentFile=-/etc/systemd/system/{name}.service.env
{role_lines}KillMode=process
Delegate=yes
User=root
# Having non-zero Limit*s causes performance problems due to accounting overhead
# in the kernel. We recommend using cgroups to do container-local accounting.
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s {command}
"""


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file to be written on a host: octal mode, absolute path, content."""

    mode: str
    path: str
    content: str

    def line(self) -> str:
        """Return it as one line: mode, path, content in base64."""
        return f"{self.mode} {self.path} {base64.b64encode(self.content.encode()).decode()}\n"


def lines(files: Iterable[HostFile]) -> str:
    """Return files as the scripts read them from stdin, one a line."""
    return "".join(file.line() for file in files)


def unit(role: K3sRole) -> str:
    """Render the systemd unit of a role."""
    role_lines = _SERVER_LINES if role is K3sRole.SERVER else ""
    return _UNIT.format(name=UNIT_NAMES[role], role_lines=role_lines, command=role.value)


def install_files(operation: Install) -> tuple[HostFile, ...]:
    """Return the files of an installation; registries.yaml may hold passwords, so it is 0600 and travels over stdin."""
    files = [
        HostFile("0755", DOWNLOAD_PATH, script("download_k3s")),
        HostFile("0644", RESOLV_CONF_PATH, RESOLV_CONF),
        HostFile("0644", f"/etc/systemd/system/{UNIT_NAMES[operation.role]}.service", unit(operation.role)),
    ]
    if operation.role is K3sRole.SERVER:
        files.append(HostFile("0755", GUARD_PATH, script("start_guard")))
    if operation.registries is not None:
        files.append(HostFile("0600", REGISTRIES_PATH, operation.registries))
    return tuple(files)


def configuration_files(operation: Reconfigure) -> tuple[HostFile, ...]:
    """Return what k3s is started with; what may hold passwords is 0600, and all of it travels over stdin.

    The unit is there already, except on a host of 2.x: its flags would be stronger than the configuration, and it has
    no start guard. That comes first, and the unit before the configuration: never is there one without the other.
    """
    guard = (HostFile("0755", GUARD_PATH, script("start_guard")),) if operation.role is K3sRole.SERVER else ()
    return (
        *guard,
        HostFile("0644", f"/etc/systemd/system/{UNIT_NAMES[operation.role]}.service", unit(operation.role)),
        HostFile("0600", REGISTRIES_PATH, operation.registries.reveal()),
        HostFile("0600", CONFIG_PATH, operation.config.reveal()),
    )
