"""A home directory with an SSH key, and ways to load a text as a configuration file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hetzner_k3s.config.diagnostics import ConfigError
from hetzner_k3s.config.loader import ConfigFile, load

PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDeUdLJrxLYw0tZ1xkV8fJ3Q1y0x3bJfGmZkR2w9kq3S someone@example"

Load = Callable[..., ConfigFile]
Findings = Callable[..., list[str]]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ssh = tmp_path_factory.mktemp("home") / ".ssh"
    ssh.mkdir()
    for name in ("id_rsa", "id_ed25519"):
        (ssh / name).write_text("no key: the configuration only checks that the file is there\n")
        (ssh / f"{name}.pub").write_text(PUBLIC_KEY + "\n")
    return ssh.parent


@pytest.fixture(scope="session")
def environ(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "HCLOUD_TOKEN": "token-of-the-environment"}


@pytest.fixture
def load_text(tmp_path: Path, environ: dict[str, str]) -> Load:
    """Load a text, bytes or a mapping (JSON is YAML) as `cluster.yaml`."""

    def load_it(content: str | bytes | dict[str, Any], **more_environ: str) -> ConfigFile:
        path = tmp_path / "cluster.yaml"
        text = json.dumps(content) if isinstance(content, dict) else content
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, {**environ, **more_environ})

    return load_it


@pytest.fixture
def findings(load_text: Load, tmp_path: Path) -> Findings:
    """Give all diagnostics of a text, one line each, without the directory."""

    def lines(content: str | bytes | dict[str, Any]) -> list[str]:
        try:
            diagnostics = load_text(content).warnings
        except ConfigError as error:
            diagnostics = error.diagnostics
        return [str(diagnostic).removeprefix(f"{tmp_path}/") for diagnostic in diagnostics]

    return lines


@pytest.fixture
def minimal() -> dict[str, Any]:
    """Give the smallest valid configuration, anew for each test."""
    return {
        "cluster_name": "test",
        "kubeconfig_path": "./kubeconfig",
        "k3s_version": "v1.36.3+k3s1",
        "masters_pool": {"instance_type": "cpx22", "instance_count": 3, "locations": ["fsn1", "hel1", "nbg1"]},
        "worker_node_pools": [{"name": "small", "instance_type": "cpx22", "instance_count": 2}],
    }
