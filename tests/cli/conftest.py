"""Runs the command in this process and catches what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hetzner_k3s.cli import wiring
from hetzner_k3s.cli.app import cli
from hetzner_k3s.cli.exits import run
from hetzner_k3s.lab.simulated.place import Place
from hetzner_k3s.lab.simulated.world import TOKEN
from hetzner_k3s.model import secrets

CLUSTER = """\
cluster_name: prod
kubeconfig_path: ./kubeconfig
k3s_version: v1.36.3+k3s1
networking:
  ssh:
    private_key_path: ~/.ssh/id_ed25519
    public_key_path: ~/.ssh/id_ed25519.pub
  allowed_networks: {ssh: [0.0.0.0/0], api: [0.0.0.0/0]}
masters_pool:
  instance_type: cpx22
  instance_count: 3
  locations: [fsn1, hel1, nbg1]
schedule_workloads_on_masters: true
"""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Ended]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the command a home with an SSH key, a token, and a directory to work in."""
    ssh = tmp_path / ".ssh"
    ssh.mkdir()
    (ssh / "id_ed25519").write_text("the configuration only checks that this file is there\n")
    (ssh / "id_ed25519.pub").write_text(
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeUdLJrxLYw0tZ1xkV8fJ3Q1y0x3bJfGmZk a@b\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HCLOUD_TOKEN", "the-token")
    return tmp_path


@contextmanager
def simulated_cluster(home: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, text: str) -> Iterator[Place]:
    """Let commands work in a simulated world that has the cluster of a file of this text."""
    monkeypatch.setenv("HCLOUD_TOKEN", TOKEN)
    (home / "cluster.yaml").write_text(text)
    with wiring.simulation(7, "instant") as opened:
        assert invoke("create", "-q", "-c", "cluster.yaml").code == 0
        yield opened


@pytest.fixture(autouse=True)
def own_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know no secret of other tests: a word of theirs would be masked in what is told."""
    monkeypatch.setattr(secrets, "_KNOWN", {})


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str]) -> Invoke:
    """Run `hetzner-k3s ARGUMENTS` and give its exit code and output."""

    def invoke_it(*arguments: str) -> Ended:
        code = run(cli, arguments)
        captured = capfd.readouterr()
        return Ended(code, captured.out, captured.err)

    return invoke_it
