"""A light rig for the lab's k3s: a network namespace and an overlay of the root filesystem a host, no systemd.

Everything lies in one tmpfs (etcd syncs for free there) and is taken down by `Rig.close`, also after a failure.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from hetzner_k3s.lab.k3s import program

T = TypeVar("T")

VERSION = "v1.36.3+k3s1"
PASSWORD = "labpw0123456789abcdefLAB"
ETCD_TLS = "/var/lib/rancher/k3s/server/tls/etcd"


def run(*command: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run a command on this machine."""
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=timeout)


def eventually(what: str, probe: Callable[[], T], timeout: float, tell: Callable[[], str] = str) -> T:
    """Wait until a probe gives something true; fail with what was waited for and what `tell` has to say."""
    deadline = time.monotonic() + timeout
    while True:
        if found := probe():
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}\n{tell()}")
        time.sleep(0.05)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    code: int
    body: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Host:
    """One host of the rig."""

    rig: Rig
    name: str
    address: str
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    started_at: float = 0.0
    notifier: socket.socket | None = field(default=None, repr=False)

    @property
    def namespace(self) -> str:
        return f"{self.rig.id}-{self.name}"

    @property
    def root(self) -> Path:
        return self.rig.base / self.name / "merged"

    @property
    def log_file(self) -> Path:
        return self.rig.base / self.name / f"log.{self.starts}"

    @property
    def log(self) -> str:
        """What k3s printed in its latest start."""
        return self.log_file.read_text() if self.log_file.exists() else ""

    def tail(self) -> str:
        """Give the end of the log without its certificate lines."""
        return "\n".join(row for row in self.log.splitlines() if "certificate" not in row)[-3000:]

    def path(self, inside: str) -> Path:
        """Give the path of a host's file on this machine."""
        return self.root / inside.lstrip("/")

    def configure(self, **settings: Any) -> None:
        """Write `config.yaml`; underscores in names become dashes, None leaves a key out."""
        given = {key.replace("_", "-"): value for key, value in settings.items() if value is not None}
        target = self.path("/etc/rancher/k3s/config.yaml")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(given, indent=1))
        target.chmod(0o600)

    def server_config(self, **changes: Any) -> None:
        """Write the configuration of the recorded servers, changed."""
        base: dict[str, Any] = {
            "node-name": self.name,
            "node-ip": self.address,
            "advertise-address": self.address,
            "tls-san": [self.address, "api.lab.example"],
            "disable": ["traefik", "servicelb", "metrics-server", "local-storage"],
            "disable-cloud-controller": True,
            "etcd-expose-metrics": True,
            "write-kubeconfig-mode": "0600",
            "kubelet-arg": ["cloud-provider=external", "fail-cgroupv1=false"],
            "token": PASSWORD,
        }
        self.configure(**{**base, **{key.replace("_", "-"): value for key, value in changes.items()}})

    def start(self, *arguments: str, command: str = "server", environment: dict[str, str] | None = None) -> Host:
        """Start k3s; returns at once."""
        self.starts += 1
        if self.notifier is None:
            self.notifier = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.path("/run/notify").unlink(missing_ok=True)
            self.notifier.bind(str(self.path("/run/notify")))
            self.notifier.setblocking(False)
        self._drain()
        environ = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET": "/run/notify"}
        self.started_at = time.monotonic()
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [*self._enter(), "/usr/local/bin/k3s", command, *arguments],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environ | (environment or {}),
            )
        return self

    def _enter(self) -> list[str]:
        return ["ip", "netns", "exec", self.namespace, "chroot", str(self.root)]

    def _drain(self) -> bool:
        assert self.notifier is not None
        seen = False
        while True:
            try:
                seen = b"READY=1" in self.notifier.recv(4096) or seen
            except BlockingIOError:
                return seen

    def wait_ready(self, timeout: float = 20) -> float:
        """Wait for READY=1; give the seconds since the start."""
        eventually(f"{self.name} ready", lambda: self._drain() or self._dead(), timeout, self.tail)
        assert not self._dead(), f"{self.name} ended:\n{self.tail()}"
        return time.monotonic() - self.started_at

    def is_ready(self) -> bool:
        """Tell whether READY=1 came since last asked."""
        return self._drain()

    def _dead(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def wait_end(self, timeout: float = 20) -> int:
        """Wait for the process to end by itself; give its exit code."""
        assert self.process is not None
        return self.process.wait(timeout)

    def stop(self) -> None:
        """Stop k3s as systemd does, with SIGTERM."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)

    def kill(self) -> None:
        """Kill k3s and all its children, as a power cut does."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        eventually("etcd gone", lambda: not self.pids(), 5)

    def pids(self) -> list[int]:
        """List the processes in this host's network namespace."""
        return [int(pid) for pid in run("ip", "netns", "pids", self.namespace, check=False).stdout.split()]

    def disconnect(self) -> None:
        """Take the host off the network (a deleted server)."""
        run("ip", "-n", self.namespace, "link", "set", "eth0", "down")

    def connect(self) -> None:
        """Put the host back on the network."""
        run("ip", "-n", self.namespace, "link", "set", "eth0", "up")

    def wipe(self, *inside: str) -> None:
        """Remove files or trees."""
        for name in inside:
            run("rm", "-rf", str(self.path(name)))

    def sh(self, script: str, check: bool = True, timeout: float = 60) -> str:
        """Run a shell script on the host; give its output."""
        done = run(*self._enter(), "/bin/sh", "-c", script, check=False, timeout=timeout)
        assert done.returncode == 0 or not check, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def kubectl(self, *arguments: str, check: bool = True, stdin: str = "") -> str:
        """Run `k3s kubectl` on the host."""
        done = subprocess.run(
            [*self._enter(), "/usr/local/bin/k3s", "kubectl", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0 or not check, f"kubectl {arguments}: {done.stdout}{done.stderr}"
        return done.stdout if check else done.stdout + done.stderr

    def objects(self, *arguments: str) -> Any:
        """Run `kubectl get … -o json`."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def curl(self, url: str, *options: str) -> Answer:
        """Ask a URL from the host."""
        done = run(*self._enter(), "curl", "-sk", "-m", "10", "-w", "\n%{http_code}", *options, url, check=False)
        body, _, code = done.stdout.rpartition("\n")
        return Answer(int(code or 0), body)

    def gateway(self, path: str, body: Any) -> Answer:
        """Call etcd's JSON gateway."""
        tls = ("--cacert", "server-ca.crt", "--cert", "client.crt", "--key", "client.key")
        options = [word if word.startswith("--") else f"{ETCD_TLS}/{word}" for word in tls]
        return self.curl(f"https://127.0.0.1:2382/v3/{path}", *options, "-d", json.dumps(body))

    def members(self) -> dict[str, dict[str, Any]]:
        """List etcd's members by node name; an unstarted one by its address."""
        rows = self.gateway("cluster/member/list", {"linearizable": True}).json["members"]
        return {row.get("name", row["peerURLs"][0]).rpartition("-")[0] or row["peerURLs"][0]: row for row in rows}

    def promote(self, node: str, timeout: float = 15) -> None:
        """Promote a node's learner as soon as it can be."""

        def attempt() -> bool:
            answer = self.gateway("cluster/member/list", {})
            rows = answer.json.get("members", []) if answer.code == 200 else []
            mine = [row for row in rows if row.get("name", "").rpartition("-")[0] == node]
            if not mine:
                return False
            return (
                not mine[0].get("isLearner")
                or self.gateway("cluster/member/promote", {"ID": mine[0]["ID"]}).code == 200
            )

        eventually(f"{node} promoted", attempt, timeout)


class Rig:
    """A private network with hosts on it."""

    def __init__(self, rootfs: Path, base: Path, latency: str = "instant") -> None:
        self.id = f"k3s{secrets.token_hex(3)}"
        self.base, self._rootfs, self._latency = base, rootfs, latency
        self.hosts: dict[str, Host] = {}
        self._mounts: list[Path] = []
        self._switch = f"{self.id}-switch"
        self._program = program.build(VERSION)

    def __enter__(self) -> Rig:
        try:
            self.base.mkdir(parents=True, exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", "size=2g", "lab-k3s", str(self.base))
            self._mounts.append(self.base)
            run("ip", "netns", "add", self._switch)
            run("ip", "-n", self._switch, "link", "add", "br0", "type", "bridge")
            run("ip", "-n", self._switch, "link", "set", "br0", "up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Take everything down."""
        for host in self.hosts.values():
            self._remove_processes(host)
        for host in self.hosts.values():
            run("ip", "netns", "del", host.namespace, check=False)
        run("ip", "netns", "del", self._switch, check=False)
        for mount in reversed(self._mounts):
            run("umount", "-l", str(mount), check=False)
        self._mounts.clear()

    @staticmethod
    def signal(pid: int, name: str) -> None:
        """Send a signal to one process of a host."""
        os.kill(pid, getattr(signal, f"SIG{name}"))

    @staticmethod
    def _remove_processes(host: Host) -> None:
        if host.notifier is not None:
            host.notifier.close()
        for pid in host.pids():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if host.process is not None:
            host.process.wait(10)

    def host(self, name: str, address: str = "") -> Host:
        """Make a host with a fresh disk; masters get 10.0.0.2, 10.0.0.3, … by the digit in their name."""
        digit = int(re.sub(r"\D", "", name) or 0) + (20 if name.startswith("worker") else 1)
        host = Host(self, name, address or f"10.0.0.{digit}")
        self.hosts[name] = host
        self._make_disk(host)
        self._make_network(host)
        return host

    def replace(self, old: Host, address: str = "") -> Host:
        """Make a fresh host under an old one's name, after the old one was killed for good."""
        old.kill()
        if old.notifier is not None:
            old.notifier.close()
        run("ip", "netns", "del", old.namespace)
        eventually("interface gone", lambda: old.name not in run("ip", "-n", self._switch, "link").stdout, 5)
        run("umount", "-l", str(old.root))
        run("rm", "-rf", str(self.base / old.name))
        return self.host(old.name, address or old.address)

    def _make_disk(self, host: Host) -> None:
        place = self.base / host.name
        for part in ("upper", "work", "merged"):
            (place / part).mkdir(parents=True)
        options = f"lowerdir={self._rootfs},upperdir={place / 'upper'},workdir={place / 'work'}"
        run("mount", "-t", "overlay", "lab-k3s", "-o", options, str(host.root))
        self._mounts.append(host.root)
        binary = host.path("/usr/local/bin/k3s")
        binary.parent.mkdir(parents=True, exist_ok=True)
        binary.write_bytes(self._program)
        binary.chmod(0o755)
        latency = host.path("/etc/hetzner-k3s-lab/latency")
        latency.parent.mkdir(parents=True, exist_ok=True)
        latency.write_text(self._latency + "\n")
        host.path("/etc/machine-id").write_text(secrets.token_hex(16) + "\n")

    def _make_network(self, host: Host) -> None:
        space, port = host.namespace, host.name
        run("ip", "netns", "add", space)
        run("ip", "-n", space, "link", "set", "lo", "up")
        run("ip", "-n", self._switch, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", space)
        run("ip", "-n", self._switch, "link", "set", port, "master", "br0", "up")
        run("ip", "-n", space, "addr", "add", f"{host.address}/24", "dev", "eth0")
        run("ip", "-n", space, "link", "set", "eth0", "up")
