"""What an agent that hetzner-k3s 2.x made has in its unit's environment instead of a `config.yaml`."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import script
from hetzner_k3s.model.identity import token_hash

TOKEN = f"K10{'f' * 64}::server:it's a secret"
MASTER, OTHER = "https://10.0.0.2:6443", "https://10.0.0.3:6443"


def run(text: str, root: Path, *arguments: str) -> str:
    """Run a script on files below `root`."""
    whole = script("prelude") + script("facts") + text
    for path, here in [("/etc/rancher/k3s", "etc"), ("/etc/systemd/system", "units"), ("/var/lib/rancher/k3s", "k3s")]:
        whole = whole.replace(path, f"{root}/{here}")
    ended = subprocess.run(["sh", "-c", whole, "test", *arguments], text=True, capture_output=True, check=False)
    assert not ended.stderr
    return ended.stdout


def environment(root: Path, quote: str = "'") -> Path:
    """Write the file as k3s' installer does, which quotes."""
    (root / "units").mkdir()
    (root / "etc").mkdir()
    file = root / "units/k3s-agent.service.env"
    file.write_text(f"K3S_TOKEN={quote}{TOKEN}{quote}\nK3S_URL={quote}{MASTER}{quote}\n")
    return file


@pytest.mark.parametrize("quote", ["'", '"', ""])
def test_its_token_and_its_server_are_read(tmp_path: Path, quote: str) -> None:
    environment(tmp_path, quote)
    facts = json.loads(run("disk_facts", tmp_path))
    assert facts["config_token_hash"] == token_hash(TOKEN)
    assert facts["config_token_ca"] == "f" * 64
    assert facts["config_server"] == MASTER
    assert not facts["config_present"]
    told = json.loads(run(script("read_secret"), tmp_path, "config-token"))["result"]["base64"]
    assert base64.b64decode(told).decode() == TOKEN


def test_our_own_file_comes_first(tmp_path: Path) -> None:
    environment(tmp_path)
    (tmp_path / "etc/config.yaml").write_text(f'token: "mine"\nserver: "{OTHER}"\n')
    facts = json.loads(run("disk_facts", tmp_path))
    assert (facts["config_token_hash"], facts["config_server"]) == (token_hash("mine"), OTHER)
    told = json.loads(run(script("read_secret"), tmp_path, "config-token"))["result"]["base64"]
    assert base64.b64decode(told) == b"mine"


def pin(root: Path, before: str, ca: str) -> str:
    return run(script("write_ca_pin"), root, before * 64, ca * 64, "no")


@pytest.mark.parametrize("quote", ["'", '"', ""])
def test_its_token_pins_the_ca_that_its_cluster_was_rotated_to(tmp_path: Path, quote: str) -> None:
    file = environment(tmp_path, quote)
    before = file.read_text()
    assert pin(tmp_path, "f", "e") == '{"result":{}}\n'
    assert file.read_text() == before.replace("f" * 64, "e" * 64)
    assert file.stat().st_mode & 0o777 == 0o600
    assert '"precondition_changed"' in pin(tmp_path, "d", "c")


def test_our_own_file_is_pinned_and_nothing_else_in_it_is_touched(tmp_path: Path) -> None:
    before = environment(tmp_path).read_text()
    config, rest = tmp_path / "etc/config.yaml", f'server: "{OTHER}"\n# K10{"f" * 64}:: stays\n'
    config.write_text(f'node-name: "w1"\ntoken: "{TOKEN}"\n{rest}')
    assert pin(tmp_path, "f", "e") == '{"result":{}}\n'
    assert config.read_text() == f'node-name: "w1"\ntoken: "{TOKEN.replace("f" * 64, "e" * 64)}"\n{rest}'
    assert (tmp_path / "units/k3s-agent.service.env").read_text() == before


def test_it_is_pointed_to_another_master_where_it_has_the_first(tmp_path: Path) -> None:
    file = environment(tmp_path)
    assert run(script("point_to_server"), tmp_path, OTHER) == '{"result":{}}\n'
    assert file.read_text() == f"K3S_TOKEN='{TOKEN}'\nK3S_URL='{OTHER}'\n"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "etc/config.yaml").exists()
    assert '"precondition_changed"' in run(script("reconnect_agent"), tmp_path, MASTER, "10.0.0.9:6443")
    assert file.read_text().endswith(f"K3S_URL='{OTHER}'\n")
