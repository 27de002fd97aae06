"""The digits of a host's S3 settings are those that the file's are compared by."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from tests.sim.clusters import S3

from hetzner_k3s.hosts.shell import script
from hetzner_k3s.model.hosts.s3_settings import settings, settings_hash
from hetzner_k3s.model.spec import S3Spec


def asked(root: Path, config: str | None) -> str:
    """Ask a host that has this `config.yaml`."""
    if config is not None:
        (root / "config.yaml").write_text(config)
    text = (script("prelude") + script("facts")).replace("/etc/rancher/k3s", str(root)) + "s3_hash"
    return subprocess.run(["sh", "-c", text], text=True, capture_output=True, check=True).stdout


def _written(s3: S3Spec) -> str:
    lines = [f"{k}: {'true' if v is True else chr(34) + str(v) + chr(34)}" for k, v in settings(s3).items()]
    return "\n".join(['token: "x"', *reversed(lines), 'node-name: "m"', ""])


@pytest.mark.parametrize("s3", [S3, replace(S3, path_style=True, insecure=True)])
def test_host_and_file_are_compared_by_the_same_digits(tmp_path: Path, s3: S3Spec) -> None:
    assert asked(tmp_path, _written(s3)) == settings_hash(settings(s3))


def test_a_host_without_settings_has_no_digits(tmp_path: Path) -> None:
    assert asked(tmp_path, None) == ""
    assert asked(tmp_path, "token: x\n") == ""
