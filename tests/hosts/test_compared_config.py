"""Which lines of a host's `config.yaml` leave it, and how they are read: no token, no key, no password."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from tests.hosts.test_operations import DISK

from hetzner_k3s.hosts.host_facts import disk_facts
from hetzner_k3s.hosts.shell import script
from hetzner_k3s.model.host import DiskFacts
from hetzner_k3s.model.text.documents import Document

WRITTEN = """\
token: "K10aa::server:hidden"
server: "https://10.0.0.3:6443"
# by hand
tls-san:
  - "10.0.0.2"
  - "api.example.com"
kubelet-arg:
- "a=1"
etcd-s3-secret-key: "hidden"
datastore-endpoint: "postgres://hidden@db"
disable: "traefik"
etcd-snapshot-retention: 24
agent-token:
  "hidden"
embedded-registry: true
"""


def asked(root: Path, config: str | None) -> str:
    """Ask a host that has this `config.yaml`."""
    if config is not None:
        (root / "config.yaml").write_text(config)
    text = (script("prelude") + script("facts")).replace("/etc/rancher/k3s", str(root)) + "compared_config"
    printed = subprocess.run(["sh", "-c", text], text=True, capture_output=True, check=True).stdout
    return base64.b64decode(printed).decode()


def read(config: str) -> DiskFacts:
    return disk_facts(Document.of({**DISK, "config": base64.b64encode(config.encode()).decode()}))


def test_only_what_is_compared_leaves_the_host(tmp_path: Path) -> None:
    told = asked(tmp_path, WRITTEN)
    assert "hidden" not in told
    assert read(told).config == {
        "tls-san": ("10.0.0.2", "api.example.com"),
        "kubelet-arg": ("a=1",),
        "disable": ("traefik",),
        "etcd-snapshot-retention": ("24",),
    }


def test_a_host_without_a_configuration_tells_nothing(tmp_path: Path) -> None:
    assert asked(tmp_path, None) == ""


@pytest.mark.parametrize(
    "odd", ["kubelet-arg: [a, b]\n", "tls-san: &a x\n", 'disable: "a" b\n', "kubelet-arg:\n  a: 1\n", "\ud800"]
)
def test_what_a_hand_wrote_otherwise_is_not_compared(odd: str) -> None:
    document = {**DISK, "config": base64.b64encode(odd.encode(errors="surrogatepass")).decode()}
    assert disk_facts(Document.of(document)).config is None
