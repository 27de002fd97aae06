"""Servers for the tests of the lab itself, made through the API as any client would."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import asyncssh

from hetzner_k3s.lab.realhosts.handle import HostHandle, LabHandle

BOOT_SECONDS = 60.0

_PROBE = Path(__file__).with_name("ssh_probe.py")
_USER_DATA = """\
#cloud-config
ssh_keys:
  ed25519_private: |
{private}
  ed25519_public: {public}
ssh_deletekeys: true
runcmd:
- echo run >> /root/runs
"""


@dataclass(frozen=True)
class Keys:
    """The operator's key (a file, and what authorizes it) and the key all test servers are pinned to."""

    file: Path
    authorized: str
    host_line: str
    user_data: str


def make_keys(folder: Path) -> Keys:
    operator, host = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    file = folder / "operator-key"
    operator.write_private_key(str(file))
    file.chmod(0o600)
    host_line = public_line(host)
    private = "\n".join(f"    {line}" for line in host.export_private_key().decode().splitlines())
    return Keys(file, public_line(operator), host_line, _USER_DATA.format(private=private, public=host_line))


def public_line(key: asyncssh.SSHKey) -> str:
    return key.export_public_key().decode().strip()


def make_network(lab: LabHandle, name: str = "net", ip_range: str = "10.0.0.0/16") -> int:
    subnet = {"type": "cloud", "ip_range": ip_range.replace("/16", "/24"), "network_zone": "eu-central"}
    body = {"name": name, "ip_range": ip_range, "subnets": [subnet]}
    number: int = lab.client.api("POST", "/networks", body)["network"]["id"]
    return number


def make_server(lab: LabHandle, name: str, keys: Keys, **fields: Any) -> HostHandle:
    if not lab.resources("ssh_keys"):
        lab.client.api("POST", "/ssh_keys", {"name": "operator", "public_key": keys.authorized})
    body = {"name": name, "server_type": "cx23", "image": "debian-13", "location": "fsn1", "ssh_keys": ["operator"]}
    answer = lab.client.api("POST", "/servers", {**body, "user_data": keys.user_data, **fields})
    for action in (answer["action"], *answer["next_actions"]):
        lab.finish(action)
    return lab.host(name)


def wait_booted(*hosts: HostHandle) -> None:
    """Wait until cloud-init is done on every host."""
    for host in hosts:
        wait_until(partial(done, host, "cloud-init status | grep -q done && systemctl is-active ssh"))


def done(host: HostHandle, script: str) -> bool:
    """Tell whether a script succeeds in a host; a host that is off does not."""
    if not host.facts["running"]:
        return False
    try:
        return host.exec(script).returncode == 0
    except Exception:  # noqa: BLE001 - the host may be anywhere between off and on
        return False


def wait_until(condition: Callable[[], bool], seconds: float = BOOT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not so after {seconds:.0f} s")
        time.sleep(0.05)


def ssh(lab: LabHandle, host: HostHandle, keys: Keys, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command over SSH from the operator's place, checking the pinned host key (see ssh_probe.py)."""
    address = host.facts["public_ipv4"]
    return lab.run([sys.executable, str(_PROBE), address, str(keys.file), keys.host_line, command], check=False)


def reaches(lab: LabHandle, address: str, port: int = 22) -> bool:
    """Tell whether the operator can open a TCP connection."""
    connect = f"import socket; socket.create_connection(({address!r}, {port}), 1)"
    return lab.run([sys.executable, "-c", connect], check=False).returncode == 0


def fetch(url: str, seconds: int = 2) -> str:
    """Give the shell command that prints a URL's body, or nothing."""
    return f"curl --silent --max-time {seconds} {url}"
