"""Who installed k3s on a host that this tool did not make (docs/facts/k3s.md#made-by-2x)."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hetzner_k3s.hosts.host_facts import origin
from hetzner_k3s.hosts.shell import operation_script
from hetzner_k3s.model.hosts.origin import Origin

UNIT = "[Service]\nExecStart=/usr/local/bin/k3s \\\n    server \\\n\t'--node-name=m1' \\\n{}\n"
QUOTED = "\t'{}' \\"


def look(root: Path, unit: str | None, environment: str | None, config: str | None = None) -> Origin:
    for file, text in (("k3s.service", unit), ("k3s.service.env", environment), ("config.yaml", config)):
        if text is not None:
            (root / file).write_text(text)
    (root / "systemctl").write_text("#!/bin/sh\nexit 0\n")
    (root / "systemctl").chmod(0o755)
    text = operation_script("read_origin").replace("PATH=/usr", f"PATH={root}:/usr")
    text = text.replace("/etc/systemd/system", str(root)).replace("/etc/rancher/k3s", str(root))
    done = subprocess.run(["sh", "-c", text, "look"], capture_output=True, text=True, check=False)
    assert "secret" not in done.stdout
    return origin(json.loads(done.stdout)["result"])


@pytest.mark.parametrize("flag", ["--cluster-init", "--server"])
@pytest.mark.parametrize("form", ["\t'{}' \\", "\t'{}=https://10.0.0.2:6443' \\", "{} "])
def test_a_master_of_2x(tmp_path: Path, flag: str, form: str) -> None:
    found = look(tmp_path, UNIT.format(form.format(flag)), "K3S_TOKEN='secret'\n")
    assert found == Origin(flag=flag, bare_token=True, runs=True)
    assert found.by_2x


def test_its_agents_and_our_masters_are_no_masters_of_2x(tmp_path: Path) -> None:
    assert not look(tmp_path, UNIT.format(""), "K3S_TOKEN='secret'\nK3S_URL='https://10.0.0.2:6443'\n").by_2x


def test_a_full_token_is_not_bare(tmp_path: Path) -> None:
    full = f"K3S_TOKEN='K10{'a' * 64}::server:secret'\n"
    assert not look(tmp_path, UNIT.format("\t'--cluster-init' \\"), full).bare_token


def test_a_host_of_ours_has_a_configuration(tmp_path: Path) -> None:
    ours = look(tmp_path, "[Service]\nExecStart=/usr/local/bin/k3s server\n", None, 'token: "secret"\n')
    assert ours == Origin(configured=True, runs=True)


def test_an_empty_host(tmp_path: Path) -> None:
    assert look(tmp_path, None, None) == Origin(runs=True)
