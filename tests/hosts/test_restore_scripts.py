"""What the restore's parts of the scripts read, on files as k3s writes them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hetzner_k3s.hosts.shell import script

# The file of an agent's load balancer (docs/facts/k3s.md#agent-load-balancer: `ServerURL` stays, `ServerAddresses` are
# the living).
BALANCER = """{
  "ServerURL": "https://10.0.0.2:6443",
  "ServerAddresses": [
    "10.0.0.3:6443",
    "10.0.0.4:6443"
  ],
  "Listener": null
}"""


def run(text: str, root: Path, *arguments: str) -> str:
    """Run a script on files below `root`."""
    whole = (script("prelude") + script("facts")).replace("/var/lib/rancher/k3s", f"{root}/k3s")
    whole = whole.replace("/var/lib/hetzner-k3s", f"{root}/ours").replace("/etc/rancher/k3s", f"{root}/etc")
    whole = whole.replace("/var/lib/cloud", f"{root}/cloud").replace("/var/log", f"{root}/log")
    command = ["sh", "-c", whole + text, "test", *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=False).stdout


def test_the_masters_that_an_agent_learned_of_are_read(tmp_path: Path) -> None:
    assert run("agent_servers", tmp_path) == ""
    (tmp_path / "k3s/agent/etc").mkdir(parents=True)
    (tmp_path / "k3s/agent/etc/k3s-agent-load-balancer.json").write_text(BALANCER)
    assert run("agent_servers", tmp_path).strip() == '"10.0.0.3:6443","10.0.0.4:6443"'


def test_what_failed_at_a_first_boot_is_read_until_its_owner_put_it_right(tmp_path: Path) -> None:
    assert run("failed_commands", tmp_path) == ""
    noted = tmp_path / "ours/commands/failed"
    noted.parent.mkdir(parents=True)
    noted.write_text("additional_pre_k3s_commands 1 of 2 failed (exit 1): no disk\n")
    assert run("failed_commands", tmp_path).strip() == f"{noted.read_text().strip()} ;;"
    (noted.parent / "put-right").touch()
    assert run("failed_commands", tmp_path) == ""


APT = """\
Reading package lists...
E: Unable to locate package no-such-package
Cloud-init v. 25.1.4 running 'modules:final'
E: Package 'ufw' has no installation candidate
"""
"""What apt says in cloud-init-output.log, between the lines of others."""


def booted(root: Path, errors: list[str], output: str = APT) -> str:
    """Have cloud-init end a first boot with these errors; return what is told of the file's commands and packages."""
    (root / "cloud/data").mkdir(parents=True, exist_ok=True)
    (root / "log").mkdir(exist_ok=True)
    result = {"v1": {"datasource": "DataSourceHetzner", "errors": errors}}
    (root / "cloud/data/result.json").write_text(json.dumps(result, indent=1))
    (root / "log/cloud-init-output.log").write_text(output)
    return run("failed_commands", root)


APT_FAILED = "('package_update_upgrade_install', ProcessExecutionError(\"Command: ['apt-get', 'install', 'ufw']\"))"


def test_packages_that_apt_did_not_install_are_told_with_its_last_lines(tmp_path: Path) -> None:
    told = booted(tmp_path, [APT_FAILED])
    assert told.split(" ;;") == [
        "additional_packages failed: E: Unable to locate package no-such-package "
        "E: Package 'ufw' has no installation candidate",
        "",
    ]
    (tmp_path / "ours/commands").mkdir(parents=True)
    (tmp_path / "ours/commands/put-right").touch()
    assert run("failed_commands", tmp_path) == ""


def test_a_package_that_apt_does_not_know_is_told_in_cloud_inits_words(tmp_path: Path) -> None:
    """Seen on Debian 13: cloud-init asks apt-cache first, so no line of apt tells which package it was."""
    told = booted(tmp_path, ["('package_update_upgrade_install', Failed to install {'no-such-package'})"], "no word")
    assert "additional_packages failed: " in told
    assert "no-such-package" in told


@pytest.mark.parametrize("errors", [[], ["('growpart', OSError('no such disk'))"]])
def test_what_apt_says_is_no_failure_of_packages_that_cloud_init_installed(tmp_path: Path, errors: list[str]) -> None:
    """Other modules fail too, and apt writes `E:` for what a second try got."""
    assert booted(tmp_path, errors) == ""


def test_only_the_end_of_what_apt_says_is_told_of_a_command_and_packages_that_failed(tmp_path: Path) -> None:
    noted = tmp_path / "ours/commands/failed"
    noted.parent.mkdir(parents=True)
    noted.write_text("additional_pre_k3s_commands 1 of 2 failed (exit 1): no disk\n")
    lines = "".join(f"E: line {number} {'x' * 150}\n" for number in range(9))
    told = booted(tmp_path, [APT_FAILED], lines).replace("\n", " ").split(" ;;")
    assert told[0] == noted.read_text().strip()
    assert told[1].strip().startswith("additional_packages failed: E: line 6 ")
    assert len(told[1]) < 350


def test_a_restore_leaves_a_host_with_data_alone(tmp_path: Path) -> None:
    wal = tmp_path / "k3s/server/db/etcd/member/wal"
    wal.mkdir(parents=True)
    (wal / "0.wal").write_text("data")
    answer = run(script("restore_snapshot"), tmp_path, "kept-x", "new", "old", "-")
    assert '"precondition_changed"' in answer
    assert (wal / "0.wal").exists()
    assert not (tmp_path / "ours/restoring").exists()


def test_a_restore_that_is_done_is_done(tmp_path: Path) -> None:
    (tmp_path / "k3s/server/db/etcd/member/wal").mkdir(parents=True)
    (tmp_path / "k3s/server/db/etcd/member/wal/0.wal").write_text("data")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/lineage").write_text("first old\n")
    assert run(script("restore_snapshot"), tmp_path, "kept-x", "second", "old", "-") == '{"result":{}}\n'
    assert '"precondition_changed"' in run(script("restore_snapshot"), tmp_path, "kept-x", "second", "another", "-")


def test_a_restore_joins_nobody(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yaml").write_text('token: "x"\nserver: "https://10.0.0.2:6443"\n')
    assert '"precondition_changed"' in run(script("restore_snapshot"), tmp_path, "kept-x", "new", "-", "-")


@pytest.mark.parametrize(
    ("known", "done"), [("10.0.0.3:6443,10.0.0.4:6443", True), ("10.0.0.3:6443", False), ("-", False)]
)
def test_an_agent_that_learned_of_other_masters_is_left_alone(tmp_path: Path, known: str, done: bool) -> None:
    (tmp_path / "k3s/agent/etc").mkdir(parents=True)
    (tmp_path / "k3s/agent/etc/k3s-agent-load-balancer.json").write_text(BALANCER)
    (tmp_path / "etc").mkdir()
    config = tmp_path / "etc/config.yaml"
    config.write_text('server: "https://10.0.0.2:6443"\n')
    systemctl = f'systemctl() {{ echo "$*" >>{tmp_path}/calls; }}\n'
    answer = run(systemctl + script("reconnect_agent"), tmp_path, "https://10.0.0.9:6443", known)
    assert answer == '{"result":{}}\n' if done else '"precondition_changed"' in answer
    assert ("10.0.0.9" in config.read_text()) == (tmp_path / "calls").exists() == done


def test_an_agent_that_knows_no_master_at_all_is_reconnected(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/config.yaml").write_text('server: "https://10.0.0.2:6443"\n')
    text = "systemctl() { :; }\n" + script("reconnect_agent")
    assert run(text, tmp_path, "https://10.0.0.9:6443", "-") == '{"result":{}}\n'
